"""The 16 frames, with the faces and the writing that were found on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.routes import frame_route
from ui.parts.words import clock, percent, quoted


def frames_html(job_id: str, indices: Sequence[int], known: Mapping[str, Any]) -> str:
    """The frames that are there, as figures in a grid.

    Args:
        job_id: the job whose frames they are.
        indices: the frames that can be shown, 0 to 15.
        known: the job's evidence or its result; what it lacks is not drawn.
    """
    times_s = known.get("frame_times_s") or []
    figures = "".join(_figure(job_id, index, times_s, known) for index in indices)
    return f'<div class="v-frames">{figures}</div>'


def frames_sentence(known: Mapping[str, Any]) -> str:
    """What was found on the frames, in words; empty while nothing is known of it."""
    parts = []
    if known.get("faces") is not None:
        parts.append(_count(len(known["faces"]), "face"))
    if known.get("screen_text"):
        parts.append(_count(len(known["screen_text"]["lines"]), "line") + " of text")
    if not parts:
        return ""
    sentence = f"{' and '.join(parts)} in 16 frames."
    if known.get("faces") or known.get("screen_text"):
        sentence += " Faces have a solid outline, text a dashed one."
    return sentence


def _figure(job_id: str, index: int, times_s: Sequence[float], known: Mapping[str, Any]) -> str:
    faces = [face for face in known.get("faces") or () if face["frame"] == index]
    writing = known.get("screen_text") or {"lines": ()}
    lines = [line for line in writing["lines"] if line["frame"] == index]
    when = clock(times_s[index]) if index < len(times_s) else f"frame {index + 1}"
    alternative = quoted(_alternative(when, faces, lines))
    address = frame_route(job_id, index)
    boxes = "".join(map(_face_box, faces)) + "".join(map(_line_box, lines))
    return (
        f'<figure><a class="v-frame" href="{address}" target="_blank"><img src="{address}" '
        f'alt="{alternative}">{boxes}</a>'
        f"<figcaption>{when}{_told(faces)}</figcaption></figure>"
    )


def _alternative(
    when: str, faces: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]
) -> str:
    found = [f"a face that looks {_expression(face)}" for face in faces]
    found += [f"the words “{line['text']}”" for line in lines]
    return f"Frame at {when}" + (": " + ", ".join(found) if found else "")


def _told(faces: Sequence[Mapping[str, Any]]) -> str:
    if not faces:
        return ""
    names = ", ".join(f"{_expression(face)} {_share(face)}" for face in faces[:2])
    more = f" and {len(faces) - 2} more" if len(faces) > 2 else ""
    return f'<span class="v-quiet"> · {names}{more}</span>'


def _face_box(face: Mapping[str, Any]) -> str:
    told = f"{_expression(face)} {_share(face)}, face found with {percent(face['confidence'])}"
    return f'<span class="v-box v-face" style="{_place(face)}" title="{told}"></span>'


def _line_box(line: Mapping[str, Any]) -> str:
    told = quoted(f"{line['text']} ({percent(line['confidence'])})")
    return f'<span class="v-box v-line" style="{_place(line)}" title="{told}"></span>'


def _place(thing: Mapping[str, Any]) -> str:
    x0, y0, x1, y1 = (100 * value for value in thing["box"])
    return f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"


def _expression(face: Mapping[str, Any]) -> str:
    expressions: Mapping[str, float] = face["expressions"]
    return max(expressions, key=lambda name: expressions[name])


def _share(face: Mapping[str, Any]) -> str:
    return percent(face["expressions"][_expression(face)])


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number or 'No'} {unit}s"
