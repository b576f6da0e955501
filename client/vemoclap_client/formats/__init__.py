"""A timeline as files that other programs read: SRT, WebVTT, CSV."""
