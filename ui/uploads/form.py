"""Writes the one file in the body of a form to disk, piece by piece as the body arrives."""

import secrets
from collections.abc import AsyncGenerator, Callable
from typing import BinaryIO, NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

KEPT_HEADERS = ("content-disposition", "content-type")
FIELDS_MAX = 100
"""Fields that a form may have besides the file."""

FIELD_BYTES_MAX = 1 << 13
"""Of one such field: they are kept in memory."""


class ReceivedForm(NamedTuple):
    """What a form held besides the content of its file.

    Attributes:
        part_headers: of the file's part: its name, the file's name and type.
        file_name: as the sender gave it.
        fields: the other fields; of two of one name the last.
    """

    part_headers: dict[str, str]
    file_name: str
    fields: dict[str, str]


class FileParser(MultiPartParser):
    """Starlette's parser, which writes to a file that it is given and not to one of its own."""

    def __init__(
        self,
        headers: Headers,
        body: AsyncGenerator[bytes, None],
        target: BinaryIO,
        check_size: Callable[[int], None],
    ) -> None:
        """For one request.

        Args:
            headers: the request's.
            body: its pieces.
            target: where the file's content goes.
            check_size: is called with the bytes of the file that have come so far, before the
                last of them are written; it raises if they are too many.
        """
        super().__init__(
            headers, body, max_files=1, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX
        )
        self._target = target
        self._check_size = check_size
        self._file_bytes = 0
        self._is_complete = False

    def on_headers_finished(self) -> None:
        """Has the file's content written to the target."""
        super().on_headers_finished()
        if self._current_part.file is not None:
            self._current_part.file.file.close()
            self._current_part.file.file = self._target

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Takes a piece of a part."""
        if self._current_part.file is not None:
            self._file_bytes += end - start
            self._check_size(self._file_bytes)
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        """Notes the end of the form."""
        self._is_complete = True

    async def receive(self) -> ReceivedForm:
        """Reads the body to its end.

        Raises:
            MultiPartException: it is not a form with exactly one file, or ends too early.
        """
        if not self.headers.get("content-type", "").startswith("multipart/form-data"):
            raise MultiPartException("It is not a form with a file.")
        form = (await self.parse()).multi_items()
        files = [value for _, value in form if isinstance(value, UploadFile)]
        if not files or not self._is_complete:
            raise MultiPartException("It ends too early, or there is no file in it.")
        headers = files[0].headers
        return ReceivedForm(
            {name: headers[name] for name in KEPT_HEADERS if name in headers},
            files[0].filename or "",
            {name: value for name, value in form if isinstance(value, str)},
        )


def build_form(part_headers: dict[str, str], content: bytes) -> tuple[bytes, str]:
    """A form with one file: its body and its content type.

    Args:
        part_headers: of the file's part.
        content: the file's.
    """
    boundary = secrets.token_hex(16)
    lines = [f"--{boundary}", *(f"{name}: {value}" for name, value in part_headers.items())]
    head = "\r\n".join(lines).encode("latin-1")
    body = head + b"\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
