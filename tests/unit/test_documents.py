"""Documents of the server and of files: what is wrong in them is named, what is newer is read."""

import json
from typing import Any

import pytest

from tests.timelines import EVEN, make_timeline, make_window
from tests.unit.test_requests import make_analysis
from vemoclap_client.analysis import Analysis
from vemoclap_client.documents import parse_json
from vemoclap_client.errors import DocumentError
from vemoclap_client.timeline import Timeline


def parse(changes: dict[str, Any], missing: str | None = None) -> Analysis:
    """An analysis of two faces, parsed after these changes."""
    document = make_analysis((2,), windows=1) | changes
    document.pop(missing or "", None)
    return parse_json(json.dumps(document).encode(), Analysis, "ANALYSIS")


@pytest.mark.parametrize("field", ["profile", "head", "faces", "schema_version"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(DocumentError, match=f"ANALYSIS: .*missing.*`{field}`"):
        parse({}, missing=field)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"profile": 3}, r"\$\.profile"),
        ({"head": {"kind": "new", "trained_on": None}}, r"\$\.head\.kind"),
        ({"audio_events": [{"name": "Speech", "probability": 1.2}]}, r"\$\.audio_events"),
        ({"schema_version": 1.1}, r"\$\.schema_version"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(DocumentError, match=named):
        parse(changes)


def test_what_a_newer_minor_release_adds_is_ignored() -> None:
    newer = {"schema_version": "1.99", "smells": ["smoke"]}
    head = {"kind": "zero-shot", "trained_on": None, "layers": 3}
    analysis = parse({**newer, "head": head})
    assert (analysis.schema_version, len(analysis.faces)) == ("1.99", 2)


@pytest.mark.parametrize("version", ["0.9", "2.0", "10.0", "", "new"])
def test_another_major_release_is_refused_whatever_else_is_in_it(version: str) -> None:
    with pytest.raises(DocumentError, match=r"schema_version.*this release reads"):
        parse({"schema_version": version, "faces": "moved"})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match="ANALYSIS"):
        parse_json(data, Analysis, "ANALYSIS")


def test_a_file_s_document_is_judged_too() -> None:
    document = make_timeline([make_window(0, 2, EVEN)], 1).to_dict()
    del document["windows"][0]["probabilities"]["joy"]
    with pytest.raises(DocumentError, match=r"saved\.json: .*probabilities"):
        Timeline.from_dict(document, "saved.json")
    with pytest.raises(DocumentError, match="schema_version"):
        Timeline.from_dict({**document, "schema_version": "2.0"})
