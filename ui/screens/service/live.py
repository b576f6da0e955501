"""The part of the service page that refreshes itself: status, requests, models, machine."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from ui.jobs.job import State
from ui.jobs.library import Library
from ui.parts.markdown import plain
from ui.parts.navigation import Pages
from ui.screens.service.activity import Activity, History
from ui.screens.service.facts import (
    ANSWERING,
    BYTES_PER_GB,
    Headline,
    advice,
    answered,
    failure_reasons,
    gpu_text,
    headline,
    mean_s,
    model_rows,
    status,
)
from ui.screens.service.metrics import Metrics, MetricsError, fetch_metrics
from ui.screens.service.state import ServerState, poll
from vemoclap_client.contract import ENSEMBLE

HISTORY = "service-history"
RECENT_S = 60.0
RECENT, TOTAL = "Last minute", "Since loaded"
ROW_HEIGHT_PX = 35
NOT_KNOWN = "–"


def show_state(library: Library, pages: Pages) -> None:
    """Reads the server's state once and shows it. As a fragment it runs at an interval."""
    state, metrics, trouble = _read(library)
    _show_status(state, library.settings.server_url)
    if state.trouble is None:
        _show_numbers(metrics, trouble)
        _show_models(state, _activity(), metrics)
        _show_machine(metrics)
    _show_jobs(library, pages)
    st.caption(f"As of {datetime.now():%H:%M:%S} on this server.")


def _fetch(url: str) -> tuple[Metrics | None, str]:
    """The metrics, or why there are none."""
    try:
        return fetch_metrics(url), ""
    except MetricsError as error:
        return None, str(error)


def _read(library: Library) -> tuple[ServerState, Metrics | None, str]:
    """The server's state, its metrics, and why there are none."""
    history = _history()
    before = history.latest
    state = poll(library.settings.server_url, before)
    # A server that does not answer would have nothing to say about its metrics either.
    metrics, trouble = (None, "") if state.trouble else _fetch(library.settings.metrics_url)
    state = state.with_metrics(metrics, before)
    history.add(state)
    return state, metrics, trouble


def _history() -> History:
    history: History = st.session_state.setdefault(HISTORY, History())
    return history


def _show_status(state: ServerState, url: str) -> None:
    show = st.error if not state.can_classify else st.warning if state.not_ready else st.success
    icon = "error" if not state.can_classify else "warning" if state.not_ready else "check_circle"
    show(plain(status(state, url)), icon=f":material/{icon}:")
    steps = advice(state)
    if steps:
        st.header("What to do")
        st.markdown("\n".join(f"1. {step}" for step in steps))


def _activity() -> Mapping[str, Activity]:
    since_start = st.session_state.get("service-interval") == TOTAL
    return _history().total() if since_start else _history().recent(RECENT_S)


def _show_numbers(metrics: Metrics | None, trouble: str) -> None:
    st.header("Requests")
    st.segmented_control("Numbers for", [RECENT, TOTAL], default=RECENT, key="service-interval")
    if trouble:
        st.info(plain(trouble))
    activity = _activity()
    _show_headline(headline(activity, metrics))
    _show_interval(activity)


def _show_headline(numbers: Headline) -> None:
    steps = [answered(parts) for parts in zip(*map(_history().steps, ANSWERING), strict=True)]
    rates = [step.per_minute or 0.0 for step in steps]
    means_s = [mean for mean in map(mean_s, _history().steps(ENSEMBLE)) if mean is not None]
    with st.container(horizontal=True):
        _metric("Answered", str(numbers.clips), note="Clips, or windows of a timeline")
        _metric("Per minute", _number(numbers.per_minute, ".1f"), rates)
        _metric(
            "Mean time",
            _number(numbers.mean_s, ".2f", " s"),
            means_s,
            "Of requests to the ensemble, once admitted; Triton does not tell how long a streamed "
            "one takes",
        )
        waiting = "To be admitted, or in the queues of all models"
        _metric("Waiting now", _number(numbers.waiting, "d"), note=waiting)
        _metric("Refused", _number(numbers.refused, "d"), note="As busy; clients try again")
        _metric(
            "Failed",
            _number(numbers.failures, "d"),
            note="Answered with an error; a timeline's sound and speech: in the table alone",
        )


def _metric(
    label: str, value: str, chart: list[float] | None = None, note: str | None = None
) -> None:
    st.metric(
        label, value, chart_data=chart or None, help=note, border=True, width=162, height="stretch"
    )


def _number(value: float | None, form: str, unit: str = "") -> str:
    return NOT_KNOWN if value is None else f"{value:{form}}{unit}"


def _show_interval(activity: Mapping[str, Activity]) -> None:
    seconds = next((done.seconds for done in activity.values()), None)
    if seconds is not None:
        st.caption(f"Counted over {seconds:.0f} s, for as long as this page has been open.")


def _show_models(
    state: ServerState, activity: Mapping[str, Activity], metrics: Metrics | None
) -> None:
    st.header("Models")
    rows = model_rows(state, activity, metrics)
    ready = sum(1 for row in rows if row["state"] == "ready")
    st.dataframe(
        {column: [row[column] for row in rows] for column in rows[0]},
        hide_index=True,
        column_config=_column_config(),
        height=ROW_HEIGHT_PX * (len(rows) + 1) + 3,
        placeholder="",
        alt=f"Table of {len(rows)} models, of which {ready} are ready, with their queues and times",
    )
    st.caption(
        "Waiting: requests in the model’s queue now. Batch: items worked on at a time. Times are "
        "means per request; models work side by side, so they do not add up."
    )


def _column_config() -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "model": text("Model", pinned=True),
        "purpose": text("What it does"),
        "state": text("State", width=140),
        "backend": text("Backend", width=110),
        "version": text("Version", width="small"),
        "waiting": number("Waiting", width="small"),
        "requests": number("Requests", width="small"),
        "failures": number("Failed", width="small"),
        "batch": number("Batch", format="%.1f", width="small"),
        "queue_ms": number("Queue (ms)", format="%.1f", width=95),
        "compute_ms": number("Work (ms)", format="%.1f", width=95),
        "request_ms": number("Total (ms)", format="%.1f", width=95),
    }


def _show_machine(metrics: Metrics | None) -> None:
    if metrics is None:
        return
    st.header("Machine")
    with st.container(horizontal=True):
        if metrics.cpu_utilization is not None:
            _metric("Processors busy", f"{metrics.cpu_utilization:.0%}")
        if metrics.memory_used_bytes is not None and metrics.memory_total_bytes is not None:
            used_gb, total_gb = (
                size / BYTES_PER_GB
                for size in (metrics.memory_used_bytes, metrics.memory_total_bytes)
            )
            _metric(f"GB of {total_gb:.1f} in use", f"{used_gb:.1f}")
    for gpu in metrics.gpus:
        st.markdown(gpu_text(gpu))
    if not metrics.gpus:
        st.caption("The server sees no GPU.")
    reasons = failure_reasons(metrics)
    if reasons:
        st.markdown("Failed since the models were loaded:")
        st.markdown("\n".join(f"- {plain(reason)}" for reason in reasons))


def _show_jobs(library: Library, pages: Pages) -> None:
    st.header("This app’s clips")
    counts = library.count_states()
    labels = {
        State.WAITING: "Waiting",
        State.WORKING: "Being analyzed",
        State.DONE: "Done",
        State.FAILED: "Failed",
        State.CANCELLED: "Cancelled",
    }
    with st.container(horizontal=True):
        for state, label in labels.items():
            _metric(label, str(counts[state]))
    pages.link("library", "See them in the Library")
