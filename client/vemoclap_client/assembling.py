"""Puts a timeline together from what was found in its windows, or from a clip's result."""

from collections.abc import Sequence
from itertools import chain

from msgspec.structs import replace

from vemoclap_client.analysis import SpeechSegment
from vemoclap_client.result import EmotionResult
from vemoclap_client.spreading import Spread
from vemoclap_client.timeline import (
    ClassifiedWindow,
    SampledFrame,
    ShownText,
    Timeline,
    TimelineFace,
    Utterance,
    Window,
)
from vemoclap_client.tracks import GAP_MAX_S, FrameBoxes, number_faces


def make_timeline(
    video: str, window_s: float, hop_s: float, classified: Sequence[ClassifiedWindow]
) -> Timeline:
    """The timeline of all windows of a clip, of which there is one at least."""
    last = classified[-1].decoded
    duration_s = round(last.clip_duration_s, 3)
    windows = tuple(each.window for each in classified)
    # The last window may have frames between those of the one before it.
    frames = sorted(
        (frame for each in classified for frame in each.found.frames), key=lambda it: it.time_s
    )
    return Timeline(
        video=video,
        duration_s=duration_s,
        window_s=float(window_s),
        hop_s=float(hop_s),
        windows=windows,
        warnings=last.warnings,
        faces=_timeline_faces(frames),
        utterances=_utterances([s for each in classified for s in each.found.segments], windows),
        screen_texts=_shown_texts(frames, duration_s),
    )


def _timeline_faces(frames: Sequence[SampledFrame]) -> tuple[TimelineFace, ...]:
    boxes = [
        FrameBoxes(frame.time_s, frame.is_cut, [face.box for face in frame.faces])
        for frame in frames
    ]
    return tuple(
        TimelineFace(
            time_s=round(frame.time_s, 3),
            box=face.box,
            confidence=face.confidence,
            expressions=face.expressions,
            track=track,
        )
        for frame, tracks in zip(frames, number_faces(boxes), strict=True)
        for face, track in zip(frame.faces, tracks, strict=True)
    )


def _utterances(
    segments: Sequence[SpeechSegment], windows: Sequence[Window]
) -> tuple[Utterance, ...]:
    spread = Spread(windows)
    return tuple(
        Utterance(
            start_s=round(segment.start_s, 3),
            end_s=round(segment.end_s, 3),
            text=segment.text,
            language=segment.language,
            probabilities=spread.between(segment.start_s, segment.end_s),
        )
        for segment in sorted(segments, key=lambda it: it.start_s)
    )


def _shown_texts(frames: Sequence[SampledFrame], duration_s: float) -> tuple[ShownText, ...]:
    """Frames one after the other that show the same lines are one stretch."""
    ends_s = chain((frame.time_s for frame in frames[1:]), [duration_s])
    shown: list[ShownText] = []
    for frame, next_s in zip(frames, ends_s, strict=False):
        start_s, end_s = round(frame.time_s, 3), round(min(next_s, frame.time_s + GAP_MAX_S), 3)
        if shown and shown[-1].lines == frame.lines and shown[-1].end_s == start_s:
            shown[-1] = replace(shown[-1], end_s=end_s)
        elif frame.lines and end_s > start_s:
            shown.append(ShownText(start_s=start_s, end_s=end_s, lines=frame.lines))
    return tuple(shown)


def timeline_of(result: EmotionResult, window_s: float, hop_s: float) -> Timeline:
    """The timeline of one window that a clip's result is; the lengths are what was asked for."""
    window = Window(
        start_s=0.0,
        end_s=result.duration_s,
        frame_times_s=result.frame_times_s,
        profile=result.profile,
        head=result.head,
        probabilities=result.probabilities,
        contributions=result.contributions,
        speech=result.speech.text if result.speech else None,
        screen_text=result.screen_text.text if result.screen_text else None,
        audio_events=result.audio_events,
        absent=result.absent,
    )
    return Timeline(
        video=result.video,
        duration_s=result.duration_s,
        window_s=window_s,
        hop_s=hop_s,
        windows=(window,),
        warnings=result.warnings,
        faces=_result_faces(result),
        utterances=_utterances(result.speech.segments if result.speech else (), (window,)),
        screen_texts=_shown_texts(_result_frames(result), result.duration_s),
    )


def _result_frames(result: EmotionResult) -> list[SampledFrame]:
    """The frames with the lines that were read in them; each once, also in a short clip."""
    lines = result.screen_text.lines if result.screen_text else ()
    return [
        SampledFrame(time_s, False, (), tuple(line.text for line in lines if line.frame == index))
        for index, time_s in _distinct_frames(result).items()
    ]


def _distinct_frames(result: EmotionResult) -> dict[int, float]:
    """Index -> time of the 16 frames, those that a short clip repeats left out."""
    times_s = result.frame_times_s
    return {index: time_s for index, time_s in enumerate(times_s) if time_s not in times_s[:index]}


def _result_faces(result: EmotionResult) -> tuple[TimelineFace, ...]:
    """The faces of each frame once; one of before result schema 1.4 is a track of its own."""
    distinct = _distinct_frames(result)
    return tuple(
        TimelineFace(
            time_s=round(face.time_s, 3),
            box=face.box,
            confidence=face.confidence,
            expressions=face.expressions,
            track=number if face.track is None else face.track,
        )
        for number, face in enumerate(result.faces, 1)
        if face.frame in distinct
    )
