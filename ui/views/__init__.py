"""What the pages show: each module turns a result into one part of a page."""
