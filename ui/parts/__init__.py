"""What several pages show: each module makes one part of a page."""
