"""Optic flow, learned without labels."""
