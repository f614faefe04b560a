"""Keypoints of animals: read from files, drawn as frames, turned into flow and feature vectors."""
