"""The temporary folder of a download, removed whatever happens."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vemoclap_client.errors import OutputError
from vemoclap_client.files import workspace


@contextmanager
def temporary_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder in `parent`, removed afterwards. Removes what killed processes left there.

    Raises:
        OutputError: no folder can be made there.
    """
    parent = parent or Path(tempfile.gettempdir())
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(workspace(parent, ".vemoclap-fetch-"))
        except OSError as error:
            raise OutputError(
                f"cannot make a folder for the download in {parent}: {error}"
            ) from error
        yield folder
