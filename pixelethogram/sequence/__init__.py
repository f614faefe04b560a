"""Probabilities with temporal context."""
