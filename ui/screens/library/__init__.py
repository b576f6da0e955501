"""The page of all clips: table, filters, export, adding many."""
