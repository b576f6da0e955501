"""Words: facts as people say them, and text of others made harmless."""
