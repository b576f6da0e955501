"""A timeline as files that other programs read; `writing.FORMATS` lists them."""
