"""The page on what the numbers mean."""
