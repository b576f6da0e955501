"""The page on which clips are given: upload, link, sample."""
