"""One module per slot of the `paper` profile."""
