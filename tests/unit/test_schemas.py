"""The published schemas are those of the types, and refuse what lacks a field."""

import json
from pathlib import Path

import jsonschema
import pytest

import vemoclap_client.schemas
from vemoclap_client.schemas import DOCUMENTS, json_schema, write_schemas

PUBLISHED = Path(vemoclap_client.schemas.__file__).parent


def test_the_published_schemas_are_current(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    names = {f"{name}.schema.json" for name in DOCUMENTS}
    assert {file.name for file in tmp_path.iterdir()} == names
    for name in names:
        assert (PUBLISHED / name).read_text() == (tmp_path / name).read_text(), "run `make schemas`"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_valid_and_names_every_missing_field(name: str) -> None:
    schema = json.loads((PUBLISHED / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    missing = {error.message.split("'")[1] for error in validator.iter_errors({})}
    assert missing == set(schema["properties"])


def test_a_window_of_a_timeline_has_its_conclusions() -> None:
    properties = json_schema("timeline")["$defs"]["Window"]["properties"]
    assert properties.keys() >= {"emotion", "valence", "arousal", "probabilities"}
