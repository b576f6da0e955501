"""The pages, one folder each: its layout, its parts and its state."""
