"""Weights that a training begins with: from a download, a file, another run, another program."""
