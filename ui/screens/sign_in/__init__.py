"""The page of a person who is not signed in."""
