"""One module per slot of the `embedded` profile."""
