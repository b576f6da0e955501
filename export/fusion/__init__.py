"""The heads that fill slot `fusion`: from five modalities' features to six emotions."""
