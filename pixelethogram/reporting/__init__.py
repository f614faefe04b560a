"""One page about a trained project: figures, tables, pictures, and the HTML around them."""
