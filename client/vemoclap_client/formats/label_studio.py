"""A timeline as a task of Label Studio with predictions: its windows and the tracks of its faces.

Source: Label Studio's documentation of pre-annotations and of the tags TimelineLabels and
VideoRectangle (https://labelstud.io/guide/predictions, https://labelstud.io/tags/timelinelabels,
https://labelstud.io/tags/videorectangle).
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from math import ceil
from typing import Any

from vemoclap_client.contract import EMOTIONS
from vemoclap_client.formats.subtitles import make_cues
from vemoclap_client.formats.tiers import frame_ends_ms
from vemoclap_client.timeline import Timeline, TimelineFace

FRAME_RATE = 24
"""Label Studio counts frames at the rate that the project states; this is its default."""

FACE = "face"

LABELING_CONFIG = f"""\
<View>
  <Video name="video" value="$video" frameRate="{FRAME_RATE}"/>
  <TimelineLabels name="emotion" toName="video">
{chr(10).join(f'    <Label value="{emotion}"/>' for emotion in EMOTIONS)}
  </TimelineLabels>
  <VideoRectangle name="box" toName="video"/>
  <Labels name="face" toName="video">
    <Label value="{FACE}"/>
  </Labels>
</View>
"""
"""What the project needs as its labeling interface."""


def format_label_studio(timeline: Timeline) -> str:
    """A JSON list of one task, to be imported; its video is the path or link of the clip."""
    first = timeline.windows[0]
    prediction = {
        "model_version": f"vemoclap, {first.profile} profile, head: {first.head}",
        "result": [*_emotions(timeline), *_tracks(timeline)],
    }
    task = {"data": {"video": timeline.video}, "predictions": [prediction]}
    return json.dumps([task], indent=2, ensure_ascii=False) + "\n"


def _frame(time_s: float) -> int:
    """The frame that is shown at a time; the first one is 1."""
    return int(round(time_s * FRAME_RATE, 3)) + 1


def _emotions(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """A region for each stretch of one emotion, as in the subtitles: regions do not overlap."""
    for number, cue in enumerate(make_cues(timeline), 1):
        start = _frame(cue.start_ms / 1000)
        end = max(start, _frame(cue.end_ms / 1000) - 1)
        yield {
            "id": f"emotion-{number}",
            "type": "timelinelabels",
            "from_name": "emotion",
            "to_name": "video",
            "score": round(cue.probability, 6),
            "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": [cue.emotion]},
        }


def _tracks(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """A region for each track, whose boxes are joined by straight lines."""
    tracks: dict[int, list[TimelineFace]] = defaultdict(list)
    for face in timeline.faces:
        tracks[face.track].append(face)
    ends_ms = frame_ends_ms(timeline)
    for track, faces in sorted(tracks.items()):
        sequence = [_key_frame(face, _frame(face.time_s), True) for face in faces]
        end = _frame(ends_ms[round(faces[-1].time_s * 1000)] / 1000) - 1
        if end > sequence[-1]["frame"]:
            sequence.append(_key_frame(faces[-1], end, False))
        else:
            sequence[-1]["enabled"] = False
        yield {
            "id": f"face-{track}",
            "type": "videorectangle",
            "from_name": "box",
            "to_name": "video",
            "score": round(sum(face.confidence for face in faces) / len(faces), 6),
            "meta": {"text": [f"track {track}"]},
            "value": {
                "framesCount": ceil(timeline.duration_s * FRAME_RATE),
                "duration": timeline.duration_s,
                "labels": [FACE],
                "sequence": sequence,
            },
        }


def _key_frame(face: TimelineFace, frame: int, enabled: bool) -> dict[str, Any]:
    """A box in percent of the picture; `enabled`: whether it is shown after this frame, too."""
    x0, y0, x1, y1 = (round(100 * edge, 4) for edge in face.box)
    return {
        "frame": frame,
        "time": round((frame - 1) / FRAME_RATE, 6),
        "enabled": enabled,
        "rotation": 0,
        "x": x0,
        "y": y0,
        "width": round(x1 - x0, 4),
        "height": round(y1 - y0, 4),
    }
