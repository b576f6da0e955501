"""What a person can do about each error, in plain words. The one table of it."""

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from ui.jobs.job import ClipNotAllowedError, Failure, OwnerLimitError
from vemoclap_client.errors import VemoclapError

UPLOAD_INSTEAD = "Download the video with your browser and upload the file instead."
CONVERT = "Try another file, or convert it, for example to MP4 with H.264."
START_SERVER = (
    "The Service page shows what the server is doing; “make serve” starts one. "
    "Then analyze the clip again."
)
TRY_AGAIN = "Analyze the clip again in a moment. The Service page shows how busy the server is."
DISK_FULL = "Delete clips in the library, or ask whoever runs this app for space."
ASK_OPERATOR = "Try it again. If it fails again, whoever runs this app finds the cause in its log."

ADVICE = {
    "VideoNotFoundError": "The file is no longer there. Upload it again.",
    "EmptyVideoError": "Check the file on your device: it may not have been saved completely.",
    "NotAVideoError": "Choose a video file, for example MP4, MOV, MKV or WebM.",
    "NoVideoStreamError": "Choose a file with pictures: sound alone cannot be analyzed.",
    "DecodingLimitError": "Cut the part that matters out of the video, or convert it, for example "
    "to MP4 with H.264.",
    "VideoError": CONVERT,
    "ServerUnavailableError": START_SERVER,
    "ServerNotReadyError": START_SERVER,
    "ServerLostError": START_SERVER,
    "ServerError": TRY_AGAIN,
    "FetchingNotInstalledError": f"This app was set up without links. {UPLOAD_INSTEAD}",
    "BadLinkError": "Copy the address of the video's page from your browser: it begins with https.",
    "AddressRefusedError": f"Links may lead to public addresses only. {UPLOAD_INSTEAD}",
    "NothingThereError": f"Check that the link opens a single video in your browser. "
    f"{UPLOAD_INSTEAD}",
    "OverLimitError": "Cut the part that matters out of the video, and upload that.",
    "JavaScriptNeededError": "The site needs a JavaScript runtime on the app's machine; whoever "
    f"runs the app can install Deno. Until then: {UPLOAD_INSTEAD}",
    "BotCheckError": f"The site does not let servers download this video. {UPLOAD_INSTEAD}",
    "VideoUnavailableError": f"If you can watch it: {UPLOAD_INSTEAD}",
    "FetchError": f"Try again in a moment. {UPLOAD_INSTEAD}",
    "OutputError": DISK_FULL,
    "DocumentError": "App and server are of two releases. Use those of one, then analyze it again.",
    "StoredDocumentError": "Another release of the app wrote it. Analyze the clip again.",
    "OwnerLimitError": "Wait until some of your clips are done.",
    "OwnerSpaceError": "Delete clips that you no longer need.",
    "ClipNotAllowedError": "Choose a clip from the list, or upload it.",
    "AppEndedError": "The clip may need more memory than there is. Try a shorter one.",
    "DiskFullError": DISK_FULL,
    "InternalError": ASK_OPERATOR,
}
"""Name of an error's type -> advice. A type that is not here gets that of its base."""

EXPECTED = (VemoclapError, ClipNotAllowedError, OwnerLimitError)


def advice_for(error: BaseException) -> str:
    """What to do about an error."""
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((ADVICE[name] for name in names if name in ADVICE), ASK_OPERATOR)


def is_expected(error: BaseException) -> bool:
    """Whether the error explains itself; any other is a fault of the app and belongs in its log."""
    return isinstance(
        error, VemoclapError | ClipNotAllowedError | OwnerLimitError
    ) or _is_disk_full(error)


def to_failure(error: BaseException, message: str) -> Failure:
    """An error as people see it; `message` is the error's, without paths of the server."""
    if _is_disk_full(error):
        return failure("DiskFullError", "the disk of the app's machine is full")
    if not is_expected(error):
        return failure("InternalError", "something went wrong inside the app")
    return Failure(type(error).__name__, message, advice_for(error))


def failure(kind: str, message: str) -> Failure:
    """A failure of a kind that is in the table."""
    return Failure(kind, message, ADVICE[kind])


def without_paths(text: str, clip: Path | None, folders: Sequence[Path], name: str) -> str:
    """A message with the clip's name where it has the path of a file.

    Args:
        clip: where the clip is; its path may hold spaces.
        folders: whatever is below them is replaced, up to the next space or quotation mark.
        name: what people call the clip.
    """
    if clip is not None:
        text = text.replace(str(clip), name)
    for folder in folders:
        below = re.escape(str(folder.resolve())) + r"[^\s'\"]*?(?=[:;,.]?(?:[\s'\"]|$))"
        text = re.sub(below, lambda _: name, text)
    return text


def _is_disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
