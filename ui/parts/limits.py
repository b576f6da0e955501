"""The app's limits in words, the same on every page."""

from ui.owners import Owner
from ui.parts.words import counted
from ui.settings import Settings

SECONDS_PER_MINUTE = 60
MEGABYTES_PER_GIGABYTE = 1000


def upload_label(settings: Settings) -> str:
    """What can be uploaded, in words."""
    gigabytes = settings.upload_limit_mb / MEGABYTES_PER_GIGABYTE
    size = f"{gigabytes:g} GB" if gigabytes >= 1 else f"{settings.upload_limit_mb} MB"
    return f"One video or several, of any length, up to {size} each"


def keeping(settings: Settings, owner: Owner) -> str:
    """What happens to the clips that are given."""
    days = counted(settings.keep_days, "day")
    if owner.is_everyone:
        seeing = "Everyone who can open this app can see them in the Library, and can delete them."
    else:
        seeing = "Of the people who use this app, you alone see them in the Library."
    return f"Clips and results stay on this server for {days}. {seeing}"


def length_limit(settings: Settings) -> str:
    """How long a clip from a link may be, in words."""
    seconds = settings.duration_limit_s
    if seconds < SECONDS_PER_MINUTE:
        return counted(seconds, "second")
    return counted(round(seconds / SECONDS_PER_MINUTE), "minute")
