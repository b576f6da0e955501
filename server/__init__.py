"""Finds and starts a Triton Inference Server, and holds what its Python slots run."""
