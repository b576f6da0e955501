"""The app's HTTP API, below /api/v1: the same jobs as the pages', for programs."""
