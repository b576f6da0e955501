"""A timeline from its published JSON."""

import json

from msgspec.structs import replace

from tests import schemas
from tests.timelines import EVEN, make_timeline, make_window, probabilities
from vemoclap_client.timeline import Timeline

TIMELINE = replace(
    make_timeline(
        [make_window(0.0, 8.0, probabilities("fear", 0.6)), make_window(4.0, 12.0, EVEN)], 4.0
    ),
    warnings=("the file is cut off",),
)


def test_a_timeline_comes_back_as_it_was() -> None:
    document = TIMELINE.to_dict()
    schemas.check(document, "timeline")
    parsed = Timeline.from_dict(json.loads(json.dumps(document)))
    assert parsed == TIMELINE
    assert parsed.to_dict() == document


def test_conclusions_are_computed_anew() -> None:
    document = TIMELINE.to_dict()
    document["windows"][0] |= {"emotion": "joy", "valence": 1.0}
    assert Timeline.from_dict(document).windows[0].emotion == "fear"
