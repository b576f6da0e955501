"""From a folder of labelled clips, DATA/<emotion>/*, to a feature store, through the server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from export import stamp
from export.errors import ExportError
from training import features, lists, manifest, splits
from training.errors import FeatureError, LabelError, ProfileMismatchError
from training.features import Sample
from training.lists import NO_LISTS, Lists
from training.manifest import MANIFEST, Manifest
from training.progress import progress_bar
from training.server_features import ClipFeatures, FeatureServer
from training.store import Store, Writer
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.errors import InferenceError, RequestRejectedError, VideoError

ENCODERS = (
    "image_encoder",
    "audio_encoder",
    "face_detector",
    "face_expression",
    "text_encoder",
    "speech_recognizer",
    "speech_encoder",
    "text_detector",
    "text_recognizer",
    "language_identifier",
    "translator",
)
"""The slots that decide what features look like."""

ABOUT_ONE_CLIP = (VideoError, RequestRejectedError, InferenceError, FeatureError)
"""What is wrong with one clip. Anything else ends the extraction, which can be taken up again."""


@dataclass(frozen=True)
class LabelledClip:
    """A video file of the data set with its emotion. Its id is <emotion>/<name>."""

    path: Path
    label: str

    @property
    def id(self) -> str:
        """Unique in the folder."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def fingerprint(self) -> str:
        """Changes when the file does."""
        status = self.path.stat()
        return f"{status.st_size} bytes, modified {status.st_mtime_ns}"


@dataclass
class Extraction:
    """What became of the clips.

    Args:
        encoded: how many the server was asked about.
        kept: how many were in the store already.
        skipped: id -> why it could not be used.
        labels: id -> emotion of all that are in the store.
        notes: what on the data set's lists could not be used.
    """

    encoded: int = 0
    kept: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_clips(data: Path) -> list[LabelledClip]:
    """Return the files of DATA/<emotion>/, sorted.

    Raises:
        LabelError: a folder is no emotion's, is empty, is the only one, or holds too few files.
    """
    folders = sorted(path for path in data.iterdir() if path.is_dir() and _is_shown(path))
    unknown = [path.name for path in folders if path.name.lower() not in EMOTIONS]
    if unknown:
        raise LabelError(
            f"{data}: no emotion is called {', '.join(unknown)}. A folder's name is its clips' "
            f"label: one of {', '.join(EMOTIONS)}."
        )
    clips = []
    for folder in folders:
        paths = sorted(path for path in folder.iterdir() if _is_shown(path))
        found = [LabelledClip(path, folder.name.lower()) for path in paths]
        if not found:
            raise LabelError(f"{folder} is empty: put clips there, or remove it")
        clips += found
    try:
        splits.check_labels({clip.id: clip.label for clip in clips})
    except LabelError as error:
        raise LabelError(f"{data}: {error}") from error
    return clips


def extract(
    data: Path,
    folder: Path,
    server: FeatureServer,
    repository: Path,
    in_flight: int = 4,
    report: Callable[[str], None] = tqdm.write,
    seed: int = 1,
    given: Lists = NO_LISTS,
    name: str | None = None,
) -> tuple[Store, Extraction]:
    """Fill a feature store with what the server makes of the clips; go on where it was stopped.

    Args:
        data: folder of labelled clips.
        folder: of the store.
        server: the running server.
        repository: the model repository that it serves, for the encoders' checksums.
        in_flight: clips that are decoded and encoded at the same time.
        report: told each clip that is skipped, and why.
        seed: of the split.
        given: the data set's own split, and the mislabelled clips, which are left out.
        name: of the data; default: the folder's.

    Raises:
        LabelError: the labels cannot be learned from.
        StoreError: a list cannot be read, or does not fit the clips.
        ProfileMismatchError: the store holds features of other encoders.
        ServerError: the server is not there, or broke down.
    """
    found = find_clips(data)
    choice = lists.choose([clip.id for clip in found], given)
    clips = [clip for clip in found if clip.id not in choice.skipped]
    filling = _Filling(folder, name or data.resolve().name, repository)
    filling.found.skipped |= choice.skipped
    filling.found.notes = choice.notes
    waiting = [clip for clip in clips if not filling.has(clip)]
    with progress_bar(len(clips), filling.found.kept, "clip", "features") as bar:
        for clip, future in _in_flight(waiting, lambda clip: server.extract(clip.path), in_flight):
            try:
                filling.add(clip, future.result())
            except ABOUT_ONE_CLIP as error:
                filling.found.skipped[clip.id] = str(error)
                report(f"skipped {clip.id}: {error}")
            bar.update()
    return filling.finish(seed, choice.splits), filling.found


class _Filling:
    """A store that is being filled. It is begun with the first answer, which tells the widths."""

    def __init__(self, folder: Path, name: str, repository: Path) -> None:
        self.folder, self.name, self.repository = folder, name, repository
        self.slots = encoder_checksums(repository)
        self.found = Extraction()
        self.writer: Writer | None = None
        if (folder / MANIFEST).exists():
            earlier = manifest.read(folder)
            self._open(earlier.profile, dict(earlier.widths))

    def has(self, clip: LabelledClip) -> bool:
        """Whether the store has the clip; counts it then."""
        if self.writer is None or not self.writer.has(clip.id, clip.label, clip.fingerprint):
            return False
        self.found.kept += 1
        self.found.labels[clip.id] = clip.label
        return True

    def add(self, clip: LabelledClip, answer: ClipFeatures) -> None:
        """Write a clip's features."""
        _check_profile(self.repository, answer.profile)
        widths = features.widths_of(answer.features)
        writer = self._open(answer.profile, widths if self.writer is None else None)
        writer.add(Sample(clip.id, clip.label, answer.features), clip.fingerprint)
        self.found.encoded += 1
        self.found.labels[clip.id] = clip.label

    def finish(self, seed: int, given: Mapping[str, str] | None) -> Store:
        """List the clips in the manifest and split them."""
        if self.writer is None:
            raise LabelError(f"none of the {len(self.found.skipped)} clips could be used")
        try:
            return self.writer.finish(self.found.labels, seed, given)
        except LabelError as error:
            skipped = len(self.found.skipped)
            raise LabelError(f"{error} {skipped} clips could not be used.") from error

    def _open(self, profile: str, widths: dict[str, int] | None) -> Writer:
        if self.writer is None or self.writer.manifest.profile != profile:
            known = self.writer.manifest.widths if self.writer else {}
            begun = Manifest(self.name, profile, self.slots, widths or known)
            self.writer = Writer(self.folder, begun)
        return self.writer


def encoder_checksums(repository: Path) -> dict[str, str]:
    """Return encoder -> checksum of what it was exported from: weights, precision, artifacts.

    Not of our own sources or the libraries' versions: these change without changing a feature.

    Raises:
        ExportError: the repository holds no exported encoder.
    """
    checksums: dict[str, str] = {}
    for slot in ENCODERS:
        if made_of := stamp.read(repository / slot):
            decisive = {
                key: made_of.get(key) for key in ("module", "weights", "precision", "artifacts")
            }
            text = json.dumps(decisive, sort_keys=True)
            checksums[slot] = hashlib.sha256(text.encode()).hexdigest()
    if ENCODERS[0] not in checksums:
        raise ExportError(
            f"{repository} holds no exported encoder: name the model repository that the server "
            "serves with --repository"
        )
    return checksums


def _check_profile(repository: Path, served: str) -> None:
    """The checksums are those of the encoders that answer, not of another repository's."""
    exported = stamp.read(repository / ENCODERS[0]).get("profile", served)
    if exported != served:
        raise ProfileMismatchError(
            f"the server serves profile {served}, but {repository} holds profile {exported}: name "
            "the model repository that it serves with --repository"
        )


def _in_flight(
    clips: list[LabelledClip], work: Callable[[LabelledClip], ClipFeatures], count: int
) -> Iterator[tuple[LabelledClip, Future[ClipFeatures]]]:
    """Yield each clip with its future, done, in the order in which they finish."""
    waiting = iter(clips)
    with ThreadPoolExecutor(count) as pool:
        running: dict[Future[ClipFeatures], LabelledClip] = {}
        try:
            while True:
                for clip in waiting:
                    running[pool.submit(work, clip)] = clip
                    if len(running) == count:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")
