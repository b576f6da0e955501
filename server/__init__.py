"""Starts a Triton Inference Server; slots/ has the code of its Python slots."""
