"""Decoding: from a clip's file to its frames and sound."""
