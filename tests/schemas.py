"""Checks documents against the published schemas."""

import json
from importlib.resources import files
from typing import Any

import jsonschema


def check(document: dict[str, Any], name: str) -> None:
    """Fails if the document is not what schemas/<name>.schema.json describes."""
    text = (files("vemoclap_client") / "schemas" / f"{name}.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    # Through JSON, as a reader would get it: tuples become arrays.
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(document)))
