"""Decodes files of strangers in processes of their own, with limits. Linux only."""

from vemoclap_client.limited.decoder import LimitedDecoder
from vemoclap_client.limited.limits import DecodingLimits

__all__ = ["DecodingLimits", "LimitedDecoder"]
