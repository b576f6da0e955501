"""The page on the server: its models, their counters, what to do when one is not ready."""
