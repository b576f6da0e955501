"""Looks at a downloaded file: is it a video, and how long?"""

from pathlib import Path

import av
from av.container import InputContainer

from vemoclap_client.errors import NothingThereError, TooLongError, VideoError
from vemoclap_client.media.container import choose_video_stream, open_container


def check_video(path: Path, url: str, duration_limit_s: float) -> None:
    """Returns if the file is a video that is short enough. What cannot be known is allowed.

    Raises:
        NothingThereError: it is no video.
        TooLongError: it is too long.
    """
    try:
        with open_container(path) as container:
            choose_video_stream(container, path)
            duration_s = _duration_s(container)
    except VideoError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise NothingThereError(f"{url}: what is there cannot be used: {reason}") from error
    if duration_s > duration_limit_s:
        raise TooLongError(
            f"{url}: the video is {duration_s:g} s long, but {duration_limit_s:g} s are allowed."
        )


def _duration_s(container: InputContainer) -> float:
    """As the container says, which may be wrong; 0 where it does not say."""
    return (container.duration or 0) / av.time_base
