"""Puts pretrained networks into the model repository, each checked against where it came from."""
