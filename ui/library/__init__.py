"""Many clips: their table, adding and exporting them, comparing two."""
