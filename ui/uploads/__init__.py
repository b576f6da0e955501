"""Receives files straight to disk."""
