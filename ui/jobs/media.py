"""Where clips are, and the pictures that are made of them."""

import hashlib
import re
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ui.jobs.job import ClipNotAllowedError, Job, Source, SourceKind
from ui.settings import Settings
from vemoclap_client.contract import FRAME_COUNT
from vemoclap_client.files import UNFINISHED, remove, write
from vemoclap_client.limited import LimitedDecoder

CLIP = "clip"
FRAMES = "frames"
THUMBNAIL = "thumbnail.jpg"
JPEG_QUALITY = 85
THUMBNAIL_SIDE_PX = 320
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
CONTENT_TYPES = {
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m2ts": "video/mp2t",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".mts": "video/mp2t",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
"""Suffix -> content type of the files that count as videos in a folder."""

UNKNOWN_TYPE = "application/octet-stream"


class Folders(Protocol):
    """Where files are; of a JobStore, the part that needs no owner."""

    @property
    def uploads(self) -> Path:
        """Received files, before a job takes them over."""

    @property
    def thumbnails(self) -> Path:
        """Small pictures of the samples."""

    def folder(self, identifier: str) -> Path:
        """Where a job's clip and frames are."""


def clip_name(name: str) -> str:
    """The name of a clip's file in its job's folder; of the user's name only the suffix counts."""
    suffix = Path(name).suffix
    return CLIP + (suffix.lower() if SUFFIX.fullmatch(suffix) else "")


def clip_path(folders: Folders, job: Job) -> Path | None:
    """Where the job's video is; None while it is not fetched, or if it is gone."""
    if job.source.kind in (SourceKind.SAMPLE, SourceKind.FOLDER):
        path = Path(job.source.location)
        return path if path.is_file() else None
    found = folders.folder(job.id).glob(f"{CLIP}*")
    return next((path for path in found if path.stem == CLIP and path.is_file()), None)


def is_allowed(settings: Settings, source: Source, path: Path) -> bool:
    """Whether a clip of this source may lie there, links in the file system followed."""
    folder = _folder_of(settings, source.kind)
    if source.kind in (SourceKind.SAMPLE, SourceKind.FOLDER):
        return folder is not None and path.resolve().is_relative_to(folder.resolve())
    return True


def check_allowed(settings: Settings, source: Source, path: Path) -> None:
    """Returns if a clip of this source may lie there.

    Raises:
        ClipNotAllowedError: it is outside the folder of samples, or of the server's clips.
    """
    if not is_allowed(settings, source, path):
        raise ClipNotAllowedError(
            f"{path.name} is not in the folder whose clips this app may use. "
            "Choose a clip from the list, or upload it."
        )


def sample_clips(settings: Settings) -> list[Path]:
    """The sample clips, by name."""
    return videos_in(settings.samples)


def videos_in(folder: Path) -> list[Path]:
    """The videos that lie directly in a folder, by name; none if the folder is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in CONTENT_TYPES)


def content_type(clip: Path) -> str:
    """What to tell a browser that a clip is, by its suffix."""
    return CONTENT_TYPES.get(clip.suffix.lower(), UNKNOWN_TYPE)


def frame_path(folders: Folders, job_id: str, index: int) -> Path:
    """Where one of a job's 16 frames is, or will be."""
    return folders.folder(job_id) / FRAMES / f"{index:02}.jpg"


def write_frames(folders: Folders, job_id: str, frames: NDArray[np.uint8]) -> None:
    """Writes a clip's frames, uint8 [16, H, W, 3], as JPEGs that appear all at once."""
    folder = folders.folder(job_id) / FRAMES
    unfinished = folder.with_suffix(UNFINISHED)
    remove(unfinished)
    unfinished.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(unfinished / f"{index:02}.jpg", quality=JPEG_QUALITY)
    remove(folder)
    unfinished.rename(folder)


def job_thumbnail(folders: Folders, job_id: str) -> Path | None:
    """A small JPEG of the job's middle frame; None before its frames are decoded."""
    path = folders.folder(job_id) / THUMBNAIL
    frame = frame_path(folders, job_id, FRAME_COUNT // 2)
    if not path.is_file():
        if not frame.is_file():
            return None
        with Image.open(frame) as image:
            _write_small(image, path)
    return path


def sample_thumbnail(folders: Folders, decoder: LimitedDecoder, clip: Path) -> Path:
    """A small JPEG of the frame in the middle of a clip, made once.

    Raises:
        VideoError: the clip cannot be decoded.
    """
    state = clip.stat()
    key = f"{clip.resolve()} {state.st_size} {state.st_mtime_ns}"
    path = folders.thumbnails / f"{hashlib.sha256(key.encode()).hexdigest()}.jpg"
    if not path.is_file():
        _write_small(Image.fromarray(decoder.decode_middle_frame(clip)), path)
    return path


def _folder_of(settings: Settings, kind: SourceKind) -> Path | None:
    return settings.samples if kind is SourceKind.SAMPLE else settings.folder


def _write_small(image: Image.Image, path: Path) -> None:
    image.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
    write(path, lambda file: image.save(file, "JPEG", quality=JPEG_QUALITY), synced=False)
