"""What a user types: one small function per command, in groups; `cli.py` lists them all."""
