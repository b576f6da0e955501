"""A timeline's emotions as subtitles, SubRip (SRT) and WebVTT, to be shown over the video.

Windows overlap, but a moment gets one cue at most: each moment belongs to the window whose
middle is nearest to it. Neighbours that name the same emotion become one cue. Where nothing
speaks for any emotion there is no cue.

Source: the W3C's WebVTT for `format_vtt`; SRT has no standard, players agree on `format_srt`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from vemoclap_client.timeline import Timeline, Window


@dataclass(frozen=True)
class Cue:
    """An emotion, its mean probability, and when: in whole milliseconds from the video's start."""

    start_ms: int
    end_ms: int
    emotion: str
    probability: float

    @property
    def text(self) -> str:
        """What is shown, such as "joy 0.82"."""
        return f"{self.emotion} {self.probability:.2f}"


def make_cues(timeline: Timeline) -> tuple[Cue, ...]:
    """The cues of a timeline, each with the mean probability while it is shown."""
    shown = zip(timeline.windows, _shares_ms(timeline), strict=True)
    cues: list[Cue] = []
    for emotion, group in groupby(shown, key=lambda item: item[0].emotion):
        if emotion is not None:
            cues += _merged(emotion, list(group))
    return tuple(cues)


def _shares_ms(timeline: Timeline) -> list[tuple[int, int]]:
    """When each window speaks: from the moment midway between it and its neighbours."""
    middles = [(window.start_s + window.end_s) / 2 for window in timeline.windows]
    inner = [(earlier + later) / 2 for earlier, later in pairwise(middles)]
    borders_ms = [round(border * 1000) for border in (0.0, *inner, timeline.duration_s)]
    return list(pairwise(borders_ms))


def _merged(emotion: str, group: list[tuple[Window, tuple[int, int]]]) -> Iterator[Cue]:
    start_ms, end_ms = group[0][1][0], group[-1][1][1]
    if end_ms > start_ms:
        weighted = sum(
            window.probabilities[emotion] * (end - start) for window, (start, end) in group
        )
        yield Cue(start_ms, end_ms, emotion, weighted / (end_ms - start_ms))


def format_srt(timeline: Timeline) -> str:
    """The timeline as a SubRip file."""
    blocks = [
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{cue.text}\n"
        for number, cue in enumerate(make_cues(timeline), 1)
    ]
    return "\n".join(blocks)


def format_vtt(timeline: Timeline) -> str:
    """The timeline as a WebVTT file."""
    blocks = [
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{cue.text}\n"
        for cue in make_cues(timeline)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _clock(milliseconds: int, mark: str) -> str:
    """Hours, minutes, seconds and milliseconds, such as 00:00:04,000."""
    seconds, rest_ms = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}{mark}{rest_ms:03d}"
