"""How the server is: its models, what it does now, what to do when something is wrong."""
