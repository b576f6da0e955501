"""Brings a file of a public GitHub repository, at a commit, into the cache, verified.

The download goes on where it was cut off.
"""

import os
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path

from export.errors import FetchError
from export.weights.cache import (
    alone,
    cached_path,
    check_room,
    expected_checksum,
    is_verified,
    mark_verified,
    using_cache,
)
from export.weights.delivery import copy, reading, settle
from export.weights.manifest import Artifact

HOST = "https://raw.githubusercontent.com"
CONNECT_TIMEOUT_S = 30


def address(wanted: Artifact) -> str:
    """Return where the file is; $VEMOCLAP_GITHUB names a mirror in place of GitHub's own host."""
    host = os.environ.get("VEMOCLAP_GITHUB", HOST).rstrip("/")
    return f"{host}/{wanted.packages[0].replace('@', '/')}/{wanted.members[0]}"


def fetch(wanted: Artifact) -> Path:
    """Put the artifact into the cache and return its path.

    Raises:
        FetchError: it cannot be had. What a cut connection left is kept, and the next fetch goes on
            from there.
        ChecksumError: what came is not the pinned file; it is deleted.
        WeightsError: the cache cannot be written, or the disk is full.
    """
    path, expected = cached_path(wanted), expected_checksum(wanted)
    if expected is None:
        raise FetchError(f"the manifest has no checksum of {wanted.name!r}, and GitHub tells none")
    with using_cache(), alone(wanted):
        if is_verified(wanted):  # another process was first
            return path
        partial = path.with_name(f"{path.name}.{expected[:16]}.partial")
        try:
            _receive(address(wanted), partial)
        except FetchError as problem:
            raise FetchError(
                f"cannot get artifact {wanted.name!r}:\n- {problem}\nCheck the network and run "
                f"again, or put {wanted.members[0]} of {wanted.packages[0]} at {path} yourself."
            ) from problem
        settle(partial, path, expected, wanted.name)
        return mark_verified(wanted)


def _receive(source: str, partial: Path) -> None:
    """Append to `partial` what it lacks of the file."""
    there = partial.stat().st_size if partial.exists() else 0
    begun = f", from {there / 1e6:.1f} MB on" if there else ""
    print(f"  fetching {source}{begun}", file=sys.stderr)
    request = urllib.request.Request(source, headers={"Range": f"bytes={there}-"} if there else {})
    with reading(source):
        try:
            answer = urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            return  # All of it is there; its checksum is compared next.
        with answer:
            _append(answer, partial)


def _append(answer: HTTPResponse, partial: Path) -> None:
    goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
    size = int(answer.headers.get("Content-Length", 0))
    with using_cache():
        check_room(size, partial.parent)
        file = partial.open("ab" if goes_on else "wb")
    with file:
        before = file.tell()
        copy(answer, file)
        came = file.tell() - before
    if came < size:
        raise FetchError(f"the connection ended after {came / 1e6:.1f} of {size / 1e6:.1f} MB")
