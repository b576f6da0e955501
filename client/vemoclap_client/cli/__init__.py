"""The command `vemoclap`."""
