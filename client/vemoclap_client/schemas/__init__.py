"""The published JSON schemas, generated from the types of the documents by `make schemas`."""

import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.json import schema_components

from vemoclap_client.analysis import Analysis
from vemoclap_client.result import Conclusions, EmotionResult, Judgement
from vemoclap_client.timeline import Timeline

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: dict[str, type[Any]] = {
    "analysis": Analysis,
    "result": EmotionResult,
    "timeline": Timeline,
}
"""Name of the schema -> type of the document."""

ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)
"""An entry of a docstring's section "Attributes", and its description."""


def json_schema(name: str) -> dict[str, Any]:
    """The schema of a document as it is written; unknown fields of a newer release are allowed.

    Args:
        name: one of DOCUMENTS.
    """
    found = definitions([DOCUMENTS[name]], "#/$defs/{name}")
    document = found.pop(DOCUMENTS[name].__name__)
    return {"$schema": DIALECT, **document, "$defs": found}


def definitions(kinds: Iterable[type[Any]], ref_template: str) -> dict[str, dict[str, Any]]:
    """Name -> schema of these types of documents and of the types in their fields.

    Args:
        ref_template: where a reference points to, with `{name}` in it.
    """
    _, found = schema_components((*kinds, Conclusions), ref_template=ref_template)
    conclusions = found.pop(Conclusions.__name__)
    _describe(Conclusions, conclusions)
    for kind in _subclasses(Struct):
        if kind.__name__ not in found:
            continue
        definition = found[kind.__name__]
        _describe(kind, definition)
        if issubclass(kind, Judgement):
            definition["properties"] |= conclusions["properties"]
        # Encoding writes every field, those with a default too.
        definition["required"] = list(definition["properties"])
    return found


def _subclasses(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _subclasses(child))]


def _describe(kind: type[Any], definition: dict[str, Any]) -> None:
    """Takes the descriptions of a definition and of its properties from the type's docstring."""
    text = inspect.getdoc(kind) or ""
    definition["description"] = " ".join(text.partition("\n\n")[0].split())
    for attribute, words in ATTRIBUTE.findall(text):
        description = " ".join(words.split())
        definition["properties"][attribute] = {
            **definition["properties"][attribute],
            "description": description,
        }


def format_schema(schema: dict[str, Any]) -> str:
    """The schema as JSON, each property and each definition on a line of its own."""
    blocks = []
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            lines = (f"    {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items())
            blocks.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n  }")
        else:
            blocks.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def write_schemas(folder: Path = Path(__file__).parent) -> None:
    """Writes NAME.schema.json for each document."""
    for name in DOCUMENTS:
        (folder / f"{name}.schema.json").write_text(format_schema(json_schema(name)))
