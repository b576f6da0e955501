"""Looks at what was downloaded: is it a video, and how long? A file of a stranger's, so in a
process with limits."""

from pathlib import Path

from vemoclap_client.errors import NothingThereError, TooLongError, VideoError
from vemoclap_client.limited.decoder import LimitedDecoder


def check_video(decoder: LimitedDecoder, path: Path, url: str, duration_limit_s: float) -> None:
    """Returns if the file is a video that is short enough. What cannot be known is allowed.

    Raises:
        NothingThereError: it is no video.
        TooLongError: it is too long.
    """
    try:
        # As the container says, which may be wrong; 0 where it does not say.
        duration_s = decoder.stated_duration_s(path)
    except VideoError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise NothingThereError(f"{url}: what is there cannot be used: {reason}") from error
    if duration_s > duration_limit_s:
        raise TooLongError(
            f"{url}: the video is {duration_s:g} s long, but {duration_limit_s:g} s are allowed."
        )


def join(decoder: LimitedDecoder, pictures: Path, sound: Path, target: Path, url: str) -> Path:
    """Writes a Matroska file of both; nothing is encoded anew.

    Raises:
        NothingThereError: one of them cannot be read.
    """
    try:
        decoder.join(pictures, sound, target)
    except VideoError as error:
        raise NothingThereError(
            f"{url}: its pictures and its sound come apart, and cannot be joined. "
            "Download the video yourself and give the file."
        ) from error
    return target
