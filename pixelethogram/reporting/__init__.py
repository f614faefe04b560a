"""One page about a trained project for people: figures, tables, pictures, and the HTML around them."""
