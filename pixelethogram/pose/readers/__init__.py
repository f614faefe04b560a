"""Files of other programs that hold poses; one reader per file."""
