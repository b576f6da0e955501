"""A timeline from its published JSON."""

import json
from dataclasses import replace

from tests import schemas
from tests.timelines import EVEN, make_timeline, make_window, probabilities
from vemoclap_client.timeline import Timeline, Window

TIMELINE = replace(
    make_timeline(
        [make_window(0.0, 8.0, probabilities("fear", 0.6)), make_window(4.0, 12.0, EVEN)], 4.0
    ),
    warnings=("the file is cut off",),
)


def test_a_timeline_comes_back_as_it_was() -> None:
    document = TIMELINE.to_dict()
    schemas.check(document, "timeline")
    back = Timeline.from_dict(json.loads(json.dumps(document)))
    assert back == TIMELINE
    assert back.to_dict() == document


def test_a_window_comes_back_as_it_was() -> None:
    window = TIMELINE.windows[0]
    back = Window.from_dict(json.loads(json.dumps(window.to_dict())))
    assert back == window
    assert back.emotion == "fear"


def test_conclusions_are_worked_out_anew() -> None:
    document = TIMELINE.windows[0].to_dict() | {"emotion": "joy", "valence": 1.0}
    assert Window.from_dict(document).emotion == "fear"
