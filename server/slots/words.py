"""When each word of a passage is spoken, as far as its segments and the pauses tell."""

from collections.abc import Iterable, Iterator

from faster_whisper.transcribe import Segment

from server.slots.passages import Passage
from vemoclap_client.analysis import SpokenWord


def timed_words(segments: Iterable[Segment], passage: Passage) -> Iterator[SpokenWord]:
    """The words of a passage's segments, whose times count from its start.

    Each letter of a segment is taken to last as long as the others, in what of the segment's time
    there is a voice: Whisper's segments may span a pause.
    """
    for segment in segments:
        start_s, end_s = (passage.start_s + time_s for time_s in (segment.start, segment.end))
        clipped = [(max(start_s, a), min(end_s, b)) for a, b in passage.voiced_s()]
        voiced = [(a, b) for a, b in clipped if a < b] or [(start_s, end_s)]
        total_s = sum(b - a for a, b in voiced)
        text, at = segment.text.strip(), 0
        for word in text.split():
            at = text.index(word, at)
            middle = (at + len(word) / 2) / len(text)
            yield SpokenWord(round(_moment(middle * total_s, voiced), 2), word)
            at += len(word)


def _moment(passed_s: float, voiced: list[tuple[float, float]]) -> float:
    """The time at which so much of the voiced time has passed."""
    for start_s, end_s in voiced:
        if passed_s <= end_s - start_s:
            return start_s + passed_s
        passed_s -= end_s - start_s
    return voiced[-1][1]
