"""Downloads the clip that a link leads to: a file, or a page of a site that yt-dlp knows."""

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
    "is_link",
]
