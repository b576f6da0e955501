"""Finds the one file in the body of a form, piece by piece as the body arrives."""

import secrets
from dataclasses import dataclass, field

from python_multipart.multipart import MultipartParser, parse_options_header

KEPT_HEADERS = (b"content-disposition", b"content-type")
OTHER_BYTES_MAX = 1 << 20
"""Of fields beside the file. They are passed over."""


class NotOneFileError(ValueError):
    """The body is not a form with exactly one file."""


@dataclass(frozen=True)
class FilePart:
    """The part of a form that held the file.

    Attributes:
        headers: what it said of itself, as it came: its name, the file's name and type.
    """

    headers: dict[bytes, bytes]

    def with_content(self, content: bytes) -> tuple[bytes, str]:
        """A form with the same file, but this content: its body and content type."""
        boundary = secrets.token_hex(16)
        lines = [name + b": " + value for name, value in self.headers.items()]
        head = b"\r\n".join([b"--" + boundary.encode(), *lines])
        body = head + b"\r\n\r\n" + content + b"\r\n--" + boundary.encode() + b"--\r\n"
        return body, f"multipart/form-data; boundary={boundary}"


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""
    is_file: bool = False


class FilePartReader:
    """Takes a form's body in pieces of any size.

    Attributes:
        content: what has come of the file and was not yet taken; whoever takes it clears it.
        file_bytes: how much of the file has come in all.
    """

    def __init__(self, content_type: str) -> None:
        """For a body of this content type.

        Raises:
            NotOneFileError: it is not that of a form with files.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise NotOneFileError("it is not a form with a file")
        self.content = bytearray()
        self.file_bytes = 0
        self._other_bytes = 0
        self._part = _Part()
        self._files: list[FilePart] = []
        self._is_complete = False
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_content,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Takes the next piece of the body.

        Raises:
            NotOneFileError: there is a second file, or too much beside the file.
            FormParserError: it is not a form.
        """
        self._parser.write(piece)

    def finish(self) -> FilePart:
        """The file's part, at the end of the body.

        Raises:
            NotOneFileError: there is no file, or the body ends too early.
        """
        if not self._files or not self._is_complete:
            raise NotOneFileError("it ends too early, or there is no file in it")
        return self._files[0]

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._part.name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value += data[start:end]

    def _end_header(self) -> None:
        part = self._part
        if part.name.lower() in KEPT_HEADERS:
            part.headers[part.name.lower()] = part.value
        part.name = part.value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        self._part.is_file = b"filename" in options
        if self._part.is_file:
            if self._files:
                raise NotOneFileError("there is more than one file in it")
            self._files.append(FilePart(self._part.headers))

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self.content += memoryview(data)[start:end]
            self.file_bytes += end - start
            return
        self._other_bytes += end - start
        if self._other_bytes > OTHER_BYTES_MAX:
            raise NotOneFileError("there is too much in it beside the file")

    def _end(self) -> None:
        self._is_complete = True
