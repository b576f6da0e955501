"""Decodes the JSON documents of analysis.py, result.py and timeline.py into their types."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from vemoclap_client.errors import DocumentError

Document = TypeVar("Document")


class _Versioned(Struct):
    schema_version: str


def parse_json(data: bytes | str, kind: type[Document], source: str) -> Document:
    """Decodes a JSON document.

    Args:
        data: the document, UTF-8.
        kind: what it is to be. A document with a `schema_version` of another major release than
            the type's is refused; one of a newer minor release is read without what it adds.
        source: where it comes from, for the error.

    Raises:
        DocumentError: it is no JSON, misses a field or has a wrong one; the message names it.
    """
    try:
        if "schema_version" in getattr(kind, "__struct_fields__", ()):
            version = msgspec.json.decode(data, type=_Versioned).schema_version
            _check_version(version, _own_version(kind), source)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise DocumentError(
            f"{source}: {error}. Client and server may be of two releases."
        ) from error
    except msgspec.DecodeError as error:
        raise DocumentError(f"{source} is no JSON: {error}") from error


def convert_document(document: Any, kind: type[Document], source: str) -> Document:
    """As parse_json, from JSON-ready objects."""
    return parse_json(msgspec.json.encode(document), kind, source)


def as_text(name: str) -> str:
    """A path or link as text that JSON can hold: bytes of it that are no UTF-8 become `\\xe9`."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _own_version(kind: type[Any]) -> str:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    return str(fields["schema_version"].default)


def _check_version(version: str, own: str, source: str) -> None:
    if version.split(".")[0] != own.split(".")[0]:
        raise DocumentError(
            f"{source}: its schema_version is {version!r}; this release reads {own}. Use the "
            "release of vemoclap-client that belongs to it."
        )
