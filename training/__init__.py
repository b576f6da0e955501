"""Training of the fusion head on labelled clips, and its evaluation."""
