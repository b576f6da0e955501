"""The page of two clips side by side."""
