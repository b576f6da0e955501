"""Pretrained weights: which ones (manifest.toml), and how they come onto this machine."""

from export.weights.fetching import fetch, fetch_all
from export.weights.manifest import Artifact, artifacts

__all__ = ["Artifact", "artifacts", "fetch", "fetch_all"]
