"""Frames and clips: every kind of recording behind one FrameSource."""
