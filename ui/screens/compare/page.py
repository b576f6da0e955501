"""Two clips side by side. Its address, /compare?ids=A,B, opens the same comparison again."""

from collections.abc import Mapping, Sequence

import streamlit as st
from msgspec.structs import replace

from ui.jobs import media
from ui.jobs.job import Job, ListedJob
from ui.jobs.library import Library
from ui.parts.contributions import contributions_html, contributions_sentence
from ui.parts.headline import headline_html
from ui.parts.markdown import plain
from ui.parts.names import unique_names
from ui.parts.navigation import Pages
from ui.parts.plane import plane_html
from ui.parts.style import STYLE
from ui.parts.timeline import timeline_chart, timeline_summary
from ui.screens.compare.comparison import (
    LETTERS,
    choose,
    difference_sentence,
    differences,
    paired_bars,
    places_sentence,
)
from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline

THUMBNAIL_PX = 320
PLANE_PX = 440

ADDRESS = "compare-address"
"""Session state: the ids that this page's address named last."""

Clip = tuple[Job, EmotionResult]
"""A clip that is compared, with its result."""


def show_compare(library: Library, pages: Pages) -> None:
    """The page, from top to bottom."""
    st.title("Compare two clips")
    jobs = [job for job in library.list_jobs() if job.result]
    if len(jobs) < 2:
        st.info("Two clips with a result are needed. Add some in the Library.")
        pages.link("library", "Open the Library")
        return
    chosen = [library.get(identifier) for identifier in _choose(jobs)]
    clips = [(job, job.result) for job in chosen if job.result]
    if len(clips) == 2:
        _show_comparison(library, pages, *clips)


def _choose(jobs: Sequence[ListedJob]) -> list[str]:
    """The ids of the two clips, as the address or the two boxes name them."""
    address = st.query_params.get("ids", "")
    identifiers, missing = choose(address, jobs)
    if missing:
        st.warning(
            f"Not there, or without a result: {plain(', '.join(missing))}. Other clips are shown."
        )
    names = unique_names(jobs)
    keys = [f"compare-{letter}" for letter in LETTERS]
    # Another address: the page was just opened, or someone went back.
    if address != st.session_state.get(ADDRESS) or any(
        st.session_state.get(key) not in names for key in keys
    ):
        st.session_state.update(zip(keys, identifiers, strict=True))
    chosen = [
        column.selectbox(
            f"Clip {letter}",
            list(names),
            format_func=lambda identifier: names[identifier],
            key=key,
        )
        for column, letter, key in zip(st.columns(2), LETTERS, keys, strict=True)
    ]
    st.session_state[ADDRESS] = ",".join(chosen)
    if address != st.session_state[ADDRESS]:
        st.query_params["ids"] = st.session_state[ADDRESS]
    return chosen


def _show_comparison(library: Library, pages: Pages, one: Clip, other: Clip) -> None:
    results = one[1], other[1]
    st.html(STYLE)
    reasons = differences(*results)
    if reasons:
        st.warning(plain(" ".join([*reasons, "Their numbers are not comparable."])))
    for column, letter, clip in zip(st.columns(2), LETTERS, (one, other), strict=True):
        with column:
            _show_clip(library, pages, letter, *clip)
    st.header("Six emotions")
    sentence = difference_sentence(*results)
    st.altair_chart(paired_bars(*results), alt=sentence)
    st.caption(sentence)
    _show_timelines([one[0], other[0]])
    st.header("What spoke for what")
    for column, letter, result in zip(st.columns(2), LETTERS, results, strict=True):
        with column:
            st.subheader(f"Clip {letter}")
            st.markdown(contributions_sentence(result))
            st.html(contributions_html(result))
    _show_places(dict(zip(LETTERS, results, strict=True)))


def _show_clip(
    library: Library, pages: Pages, letter: str, job: Job, result: EmotionResult
) -> None:
    thumbnail = media.job_thumbnail(library.folders, job.id)
    if thumbnail:
        st.image(str(thumbnail), width=THUMBNAIL_PX, alt=f"A frame of clip {letter}")
    st.markdown(f"**{letter}: {plain(job.name)}**")
    st.html(headline_html(result))
    pages.link("result", f"Open the whole result of {letter}", id=job.id)


def _show_timelines(jobs: Sequence[Job]) -> None:
    """The timelines on one axis, so that a second is as long in both."""
    st.header("Over time")
    timelines = [job.timeline for job in jobs]
    longest_s = max((timeline.duration_s for timeline in timelines if timeline), default=0.0)
    for column, letter, timeline in zip(st.columns(2), LETTERS, timelines, strict=True):
        with column:
            st.subheader(f"Clip {letter}")
            if timeline is not None and timeline.windows:
                _show_timeline(letter, replace(timeline, duration_s=longest_s))
            else:
                st.markdown("There is no timeline of this clip.")


def _show_timeline(letter: str, timeline: Timeline) -> None:
    summary = timeline_summary(timeline)
    alt = f"Emotions of clip {letter} over time: {summary}"
    st.altair_chart(timeline_chart(timeline), alt=alt, key=f"compare-timeline-{letter}")
    st.caption(f"{summary[:1].upper()}{summary[1:]}.")


def _show_places(results: Mapping[str, EmotionResult]) -> None:
    st.header("Valence and arousal")
    placed = {letter: result for letter, result in results.items() if result.emotion}
    for letter in results.keys() - placed.keys():
        st.markdown(f"No emotion stands out in clip {letter}, so it has no place here.")
    if placed:
        sentence = places_sentence(placed)
        st.html(plane_html(placed, f"Both clips’ places. {sentence}"), width=PLANE_PX)
        st.caption(sentence)
