"""Brings files of the Hugging Face hub into the cache, verified.

They come over plain HTTP and go straight into this cache, not through the hub's own: that client
deletes what a cut connection leaves of a file, and a download of 3 GB should go on where it was
cut. What the hub's cache already holds is linked, or copied from another disk, without asking the
network. The hub's client decides what it always decides: $HF_ENDPOINT, $HF_HOME, $HF_TOKEN,
$HF_HUB_OFFLINE, and the progress bar.
"""

import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from export.errors import ChecksumError, FetchError
from export.weights.cache import (
    Resolved,
    alone,
    cached_path,
    check,
    check_room,
    expected_checksum,
    is_verified,
    mark_verified,
    remember,
    resolved,
    using_cache,
)
from export.weights.delivery import UNFINISHED, settle
from export.weights.hub_errors import asking
from export.weights.manifest import Artifact
from vemoclap_client.files import checksum, link_or_copy, workspace

CHECKSUM = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
"""Git's name of a small file's content, or a large file's sha256: how the hub names its blobs."""

COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Remote:
    """What the hub tells of a file before it is fetched.

    Args:
        address: where it is, at one commit.
        size_bytes: of the file; None where the hub does not tell.
        resolved: its commit and checksum.
    """

    address: str
    size_bytes: int | None
    resolved: Resolved


def fetch(wanted: Artifact) -> Path:
    """Put the artifact into the cache and return its path.

    Raises:
        FetchError: it cannot be had: no network, no such file, no permission. What a cut
            connection left is kept, and the next fetch goes on from there.
        ChecksumError: what came is not the pinned file; it is deleted.
        WeightsError: the cache cannot be written, or the disk is full.
    """
    try:
        with using_cache(), alone(wanted):
            return _fetch(wanted)
    except (FetchError, ChecksumError) as problem:
        raise type(problem)(
            f"cannot get artifact {wanted.name!r}:\n- {problem}\n{advice(wanted)}"
        ) from problem


def size_bytes(wanted: Artifact) -> int:
    """Ask the hub for the size of a file, 0 where it does not tell.

    Raises:
        FetchError: it does not answer, or does not have the file.
        ChecksumError: it has another file than the manifest pins.
    """
    return _ask(wanted).size_bytes or 0


def advice(wanted: Artifact) -> str:
    """Return what a user can do who cannot fetch."""
    repository, revision = wanted.packages[0].split("@")
    expected = expected_checksum(wanted)
    known = f" (checksum {expected})" if expected else ""
    return (
        f"Then run again, or put {wanted.members[0]} of {repository}, revision {revision}{known}, "
        f"at {cached_path(wanted)} yourself."
    )


def _fetch(wanted: Artifact) -> Path:
    if is_verified(wanted):  # another process was first
        return cached_path(wanted)
    return _from_hub_cache(wanted) or _put_there_by_hand(wanted) or _download(wanted)


def _from_hub_cache(wanted: Artifact) -> Path | None:
    """Link the file from the hub's own cache, if that has it and it is right."""
    from huggingface_hub import try_to_load_from_cache

    repository, revision = _place(wanted)
    found = try_to_load_from_cache(repository, wanted.members[0], revision=revision)
    if not isinstance(found, str):
        return None
    answer = _resolve_in_hub_cache(wanted, Path(found))
    if answer is None:
        return None
    try:
        check(Path(found), answer.checksum, wanted.name)
    except ChecksumError as problem:
        print(f"  not used: {found}: {problem}", file=sys.stderr)
        return None
    _link(Path(found).resolve(), cached_path(wanted))
    return _keep(wanted, answer)


def _resolve_in_hub_cache(wanted: Artifact, snapshot: Path) -> Resolved | None:
    """Return what is known of a file at snapshots/<commit>/<path>, a link to blobs/<checksum>."""
    commit = snapshot.parents[len(PurePosixPath(wanted.members[0]).parts) - 1].name
    blob = snapshot.readlink().name if snapshot.is_symlink() else ""
    known = expected_checksum(wanted) or blob
    return Resolved(commit, known) if CHECKSUM.fullmatch(known) else None


def _link(source: Path, target: Path) -> None:
    """Put the file there without a copy where the disk allows."""
    with workspace(target.parent, UNFINISHED) as folder:
        link_or_copy(source, folder / target.name)
        (folder / target.name).replace(target)


def _put_there_by_hand(wanted: Artifact) -> Path | None:
    """Take the file that a user has put in place, where only the hub knows its checksum.

    Without the hub it is believed, with a warning, and later held to what it is now.
    """
    path = cached_path(wanted)
    if not path.exists():
        return None
    try:
        answer = _ask(wanted).resolved
    except FetchError as problem:
        print(f"  not verified: {path}: {problem}", file=sys.stderr)
        answer = Resolved(_place(wanted)[1], checksum(path))
    try:
        check(path, answer.checksum, wanted.name)
    except ChecksumError:
        path.unlink()
        return None
    return _keep(wanted, answer)


def _download(wanted: Artifact) -> Path:
    remote = _ask(wanted)
    path = cached_path(wanted)
    expected = expected_checksum(wanted) or remote.resolved.checksum
    partial = path.with_name(f"{path.name}.{expected[:16]}.partial")
    _receive(wanted, remote, partial)
    settle(partial, path, expected, wanted.name)
    return _keep(wanted, Resolved(remote.resolved.commit, expected))


def _ask(wanted: Artifact) -> Remote:
    """Ask the hub for the file's commit, checksum and size.

    Raises:
        FetchError: it does not tell.
        ChecksumError: it has another file than the manifest pins.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    repository, revision = _place(wanted)
    with asking(wanted):
        address = hf_hub_url(repository, wanted.members[0], revision=revision)
        answer = get_hf_file_metadata(address)
    commit, found = answer.commit_hash or "", answer.etag or ""
    if not CHECKSUM.fullmatch(found) or not COMMIT.fullmatch(commit):
        raise FetchError(f"{constants.ENDPOINT} does not answer as a hub does: no checksum for it")
    if COMMIT.fullmatch(revision) and commit != revision:
        raise FetchError(f"{constants.ENDPOINT} answers with commit {commit}, not {revision}")
    if wanted.sha256 and len(found) == len(wanted.sha256) and found != wanted.sha256:
        raise ChecksumError(
            f"wrong file for {wanted.name!r}: expected sha256 {wanted.sha256}, the hub has {found}"
        )
    address = hf_hub_url(repository, wanted.members[0], revision=commit)
    return Remote(address, answer.size, Resolved(commit, found))


def _receive(wanted: Artifact, remote: Remote, partial: Path) -> None:
    """Append to `partial` what it lacks of the file.

    Raises:
        FetchError: the connection fails; what has come stays.
        WeightsError: the disk is full; what has come stays.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    there = partial.stat().st_size if partial.exists() else 0
    if remote.size_bytes is None or there > remote.size_bytes:
        partial.unlink(missing_ok=True)
        there = 0
    check_room((remote.size_bytes or 0) - there, partial.parent)
    begun = f", from {there / 1e6:.1f} MB on" if there else ""
    print(f"  fetching {remote.address}{begun}", file=sys.stderr)
    with _CacheFile(io.FileIO(partial, "ab")) as file, asking(wanted):
        http_get(
            remote.address,  # a redirect to another host is followed without the token
            file,
            resume_size=there,
            headers=build_hf_headers(),
            expected_size=remote.size_bytes,
            displayed_filename=wanted.name,
        )


class _CacheFile(io.BufferedWriter):
    """A file in the cache whose failing to be written is not taken for the hub's failing."""

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        """Write at once, so that a full disk is noticed here."""
        with using_cache():
            written = super().write(content)
            self.flush()
        return written


def _keep(wanted: Artifact, found: Resolved) -> Path:
    """Note that the cached file is right and, where only the hub knew, what it was."""
    if not wanted.is_pinned and resolved(wanted) is None:
        print(
            f"  warning: {wanted.name} is not pinned: {wanted.packages[0]} was commit "
            f"{found.commit}, {wanted.members[0]} had checksum {found.checksum}. "
            f"From now on this machine takes no other; delete {cached_path(wanted).parent} "
            "for a newer one.",
            file=sys.stderr,
        )
    if not wanted.sha256:
        remember(wanted, found)
    return mark_verified(wanted)


def _place(wanted: Artifact) -> tuple[str, str]:
    """Return repository and revision: of what is not pinned, the one that was fetched before."""
    repository, revision = wanted.packages[0].split("@")
    earlier = resolved(wanted)
    return repository, earlier.commit if earlier else revision
