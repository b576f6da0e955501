"""The page of one clip: progress, result, evidence, files."""
