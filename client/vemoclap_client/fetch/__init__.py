"""Downloads the clip that a link leads to: a file, or a page of a site that yt-dlp knows."""

from vemoclap_client.fetch._guard import is_ip_address, is_public
from vemoclap_client.fetch.download import (
    Fetched,
    FetchLimits,
    FetchProgress,
    OnProgress,
    check_link,
    fetch,
    is_link,
)

__all__ = [
    "FetchLimits",
    "FetchProgress",
    "Fetched",
    "OnProgress",
    "check_link",
    "fetch",
    "is_ip_address",
    "is_link",
    "is_public",
]
