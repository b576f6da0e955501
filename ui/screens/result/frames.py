"""The 16 frames as HTML, with the faces and the lines of text that were found on them."""

from collections.abc import Sequence

from ui.jobs.job import Known
from ui.parts.words import clock, counted, percent, quoted
from ui.routes import frame_route
from vemoclap_client.analysis import Face, TextLine


def frames_html(job_id: str, indices: Sequence[int], known: Known) -> str:
    """The frames that are there, as figures in a grid.

    Args:
        job_id: the job whose frames they are.
        indices: the frames that can be shown, 0 to 15.
        known: the job's evidence or its result; what it lacks is not drawn.
    """
    figures = "".join(_figure(job_id, index, known) for index in indices)
    return f'<div class="v-frames">{figures}</div>'


def frames_sentence(known: Known) -> str:
    """What was found on the frames, in words; empty while nothing is known of it."""
    parts = []
    if known.faces is not None:
        parts.append(counted(len(known.faces), "face"))
    if known.screen_text is not None:
        parts.append(counted(len(known.screen_text.lines), "line") + " of text")
    if not parts:
        return ""
    sentence = f"{' and '.join(parts)} in 16 frames.".replace("0 faces", "No faces")
    if known.faces or known.screen_text:
        sentence += " Faces have a solid outline, text a dashed one."
    return sentence


def _figure(job_id: str, index: int, known: Known) -> str:
    faces = [face for face in known.faces or () if face.frame == index]
    found = known.screen_text
    lines = [line for line in found.lines if line.frame == index] if found else []
    when = clock(known.frame_times_s[index]) if known.frame_times_s else f"frame {index + 1}"
    alternative = quoted(_alternative(when, faces, lines))
    address = frame_route(job_id, index)
    boxes = "".join(map(_face_box, faces)) + "".join(map(_line_box, lines))
    return (
        f'<figure><a class="v-frame" href="{address}" target="_blank"><img src="{address}" '
        f'alt="{alternative}">{boxes}</a>'
        f"<figcaption>{when}{_expressions(faces)}</figcaption></figure>"
    )


def _alternative(when: str, faces: Sequence[Face], lines: Sequence[TextLine]) -> str:
    found = [f"a face that looks {face.expression}" for face in faces]
    found += [f"the words “{line.text}”" for line in lines]
    return f"Frame at {when}" + (": " + ", ".join(found) if found else "")


def _expressions(faces: Sequence[Face]) -> str:
    if not faces:
        return ""
    names = ", ".join(map(_expression, faces[:2]))
    more = f" and {len(faces) - 2} more" if len(faces) > 2 else ""
    return f'<span class="v-quiet"> · {names}{more}</span>'


def _face_box(face: Face) -> str:
    title = f"{_expression(face)}, face found with {percent(face.confidence)}"
    return f'<span class="v-box v-face" style="{_place(face)}" title="{title}"></span>'


def _line_box(line: TextLine) -> str:
    title = quoted(f"{line.text} ({percent(line.confidence)})")
    return f'<span class="v-box v-line" style="{_place(line)}" title="{title}"></span>'


def _place(found: Face | TextLine) -> str:
    x0, y0, x1, y1 = (100 * value for value in found.box)
    return f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"


def _expression(face: Face) -> str:
    return f"{face.expression} {percent(face.expressions[face.expression])}"
