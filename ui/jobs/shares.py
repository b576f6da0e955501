"""How much of the app one owner may take, so that others have some, too.

Clips of a library for everyone have no owner, and there is no such limit.
"""

from ui.jobs.job import OwnerLimitError, OwnerSpaceError, State
from ui.jobs.store import JobStore
from ui.owners import Owner
from ui.settings import BYTES_PER_MB, Settings


def check_share(settings: Settings, store: JobStore, owner: Owner) -> None:
    """Returns if the owner has less than what one may have.

    Raises:
        OwnerLimitError: too many of their clips wait.
        OwnerSpaceError: they have too much on the disk.
    """
    if owner.is_everyone:
        return
    counts = store.count_states(owner)
    if counts[State.WAITING] + counts[State.WORKING] >= settings.owner_jobs:
        raise OwnerLimitError(
            f"{settings.owner_jobs} of your clips wait or are being analyzed, and no more may at a "
            "time: add others when some are done"
        )
    check_room(settings, store, owner)


def check_room(settings: Settings, store: JobStore, owner: Owner, needed_bytes: int = 0) -> int:
    """Returns how many bytes a clip of the owner may have: the app's limit, or what is left.

    Args:
        needed_bytes: what is known of the clip's size before it comes.

    Raises:
        OwnerSpaceError: the owner has too much on the disk.
    """
    if owner.is_everyone:
        return settings.upload_limit_bytes
    left_bytes = settings.owner_bytes - store.used_bytes(owner)
    if left_bytes < max(needed_bytes, 1):
        limit_gb = settings.owner_bytes / (1000 * BYTES_PER_MB)
        raise OwnerSpaceError(
            f"your clips may take {limit_gb:g} GB on the app's machine, and this one would be too "
            "much: delete some in the library"
        )
    return min(settings.upload_limit_bytes, left_bytes)
