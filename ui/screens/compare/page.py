"""Two clips side by side. Its address, /compare?ids=A,B, opens the same comparison again."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ui.application import Application, application
from ui.jobs import media
from ui.jobs.job import Job
from ui.screens.compare.comparison import (
    LETTERS,
    choose,
    difference_sentence,
    differences,
    joint_feeling_html,
    joint_feeling_sentence,
    on_the_same_axis,
    paired_bars,
)
from ui.screens.library.rows import unique_names
from ui.parts.markdown import plain
from ui.parts.contributions import contributions_html, contributions_sentence
from ui.parts.headline import headline_html
from ui.parts.style import STYLE
from ui.parts.timeline import timeline_chart, timeline_summary

THUMBNAIL_PX = 320
PLANE_PX = 440


def show_page() -> None:
    """The page, from top to bottom."""
    app = application()
    st.title("Compare two clips")
    jobs = [job for job in app.store.list() if job.result]
    if len(jobs) < 2:
        st.info("Two clips with a result are needed. Add some in the Library.")
        st.page_link("screens/library.py", label="Open the Library")
        return
    _show_comparison(app, _choose(jobs))


def _choose(jobs: Sequence[Job]) -> list[Job]:
    """The two clips, as the address or the two boxes name them."""
    identifiers, missing = choose(st.query_params.get("ids", ""), jobs)
    if missing:
        st.warning(
            f"Not there, or without a result: {plain(', '.join(missing))}. Other clips are shown."
        )
    names = unique_names(jobs)
    chosen = [
        column.selectbox(
            f"Clip {letter}",
            list(names),
            index=list(names).index(identifier),
            format_func=lambda identifier: names[identifier],
            key=f"compare-{letter}",
        )
        for column, letter, identifier in zip(st.columns(2), LETTERS, identifiers, strict=True)
    ]
    st.query_params["ids"] = ",".join(chosen)
    return [application().store.get(identifier) for identifier in chosen]


def _show_comparison(app: Application, jobs: Sequence[Job]) -> None:
    results = [job.result for job in jobs if job.result]
    st.html(STYLE)
    told = differences(results[0], results[1])
    if told:
        st.warning(plain(" ".join([*told, "Their numbers are not comparable."])))
    _show_answers(app, jobs)
    st.header("Six emotions")
    st.altair_chart(paired_bars(*results), alt=difference_sentence(*results))
    st.caption(difference_sentence(*results))
    _show_timelines(jobs)
    st.header("What spoke for what")
    for column, letter, result in zip(st.columns(2), LETTERS, results, strict=True):
        with column:
            st.subheader(f"Clip {letter}")
            st.markdown(contributions_sentence(result))
            st.html(contributions_html(result))
    _show_feeling(dict(zip(LETTERS, results, strict=True)))


def _show_answers(app: Application, jobs: Sequence[Job]) -> None:
    for column, letter, job in zip(st.columns(2), LETTERS, jobs, strict=True):
        with column:
            thumbnail = media.job_thumbnail(app.store, job.id)
            if thumbnail:
                st.image(str(thumbnail), width=THUMBNAIL_PX, alt=f"A frame of clip {letter}")
            st.markdown(f"**{letter}: {plain(job.name)}**")
            st.html(headline_html(job.result or {}))
            st.page_link(
                "screens/result.py",
                label=f"Open the whole result of {letter}",
                query_params={"id": job.id},
            )


def _show_timelines(jobs: Sequence[Job]) -> None:
    st.header("Over time")
    known = [job.timeline for job in jobs if job.timeline and job.timeline["windows"]]
    joint = iter(on_the_same_axis(known))
    for column, letter, job in zip(st.columns(2), LETTERS, jobs, strict=True):
        with column:
            st.subheader(f"Clip {letter}")
            if job.timeline in known:
                _show_timeline(letter, next(joint))
            else:
                st.markdown("There is no timeline of this clip.")


def _show_timeline(letter: str, timeline: Mapping[str, Any]) -> None:
    summary = timeline_summary(timeline)
    alt = f"Emotions of clip {letter} over time: {summary}"
    st.altair_chart(timeline_chart(timeline), alt=alt, key=f"compare-timeline-{letter}")
    st.caption(f"{summary[:1].upper()}{summary[1:]}.")


def _show_feeling(results: Mapping[str, Mapping[str, Any]]) -> None:
    st.header("Valence and arousal")
    placed = {letter: result for letter, result in results.items() if result["emotion"]}
    for letter in results.keys() - placed.keys():
        st.markdown(f"No emotion stands out in clip {letter}, so it has no place here.")
    if placed:
        st.html(joint_feeling_html(placed), width=PLANE_PX)
        st.caption(joint_feeling_sentence(placed))


st.set_page_config(page_title="VEMOCLAP: compare", layout="wide")
show_page()
