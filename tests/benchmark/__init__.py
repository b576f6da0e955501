"""`make bench`: the served clips per second, what they cost, and what others make of the same."""
