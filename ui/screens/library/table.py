"""The library's clips as a table, and what can be done with those that are chosen."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from ui.jobs.job import AnyJob, ListedJob, State
from ui.jobs.library import Library
from ui.jobs.store import JobNotFoundError
from ui.parts.markdown import plain
from ui.parts.names import unique_names
from ui.parts.navigation import Pages
from ui.parts.words import counted
from ui.routes import media_url, thumbnail_route
from ui.screens.library.export import export_url
from ui.screens.library.rows import NO_EMOTION, Filters, to_row
from vemoclap_client.contract import EMOTIONS

TABLE = "library-table"
SHOWN = "library-shown"
"""Session state: ids of the clips whose rows the browser has, in their order."""

NAMED = "library-named"
TABLE_COLUMNS = (
    "picture",
    "name",
    "state",
    "progress",
    "emotion",
    "probability",
    "valence",
    "arousal",
    "duration_s",
    "head",
    "added",
)
ROW_HEIGHT_PX = 48
HEADER_HEIGHT_PX = 38
MOST_ROWS_SEEN = 10


def show_clips(library: Library, pages: Pages, works: bool) -> None:
    """Filters, table and actions. As a fragment it runs at an interval.

    Args:
        works: whether clips were waiting or worked on when the page was drawn. When that
            changes, the page is drawn anew, with another interval.
    """
    jobs = library.list_jobs()
    if jobs:
        _show_clips(library, pages, jobs)
    # Last, since drawing again forgets which button was pressed.
    if any(not job.state.is_over for job in jobs) != works:
        st.rerun()


def _show_clips(library: Library, pages: Pages, jobs: Sequence[ListedJob]) -> None:
    st.header("Clips")
    shown = _filtered(jobs)
    names = unique_names(jobs)
    if not shown:
        st.info("No clip passes the filters.")
        return
    rows = _show_table(shown)
    named = _show_names(shown, names)
    chosen = [job for job in shown if job.id in {*rows, *named}]
    _show_actions(library, pages, chosen, names, len(jobs))


def _filtered(jobs: Sequence[ListedJob]) -> list[ListedJob]:
    name, states, emotions = st.columns(3)
    filters = Filters(
        name.text_input("Filter by name", key="library-name", persist_state="session"),
        states.multiselect(
            "Filter by state",
            list(State),
            placeholder="All",
            key="library-state",
            persist_state="session",
        ),
        emotions.multiselect(
            "Filter by emotion",
            [*EMOTIONS, NO_EMOTION],
            placeholder="All",
            key="library-emotion",
            persist_state="session",
        ),
    )
    return [job for job in jobs if filters.passes(job)]


def _show_table(jobs: Sequence[AnyJob]) -> list[str]:
    """The table; returns the ids of the selected rows."""
    _keep_selection([job.id for job in jobs])
    event = st.dataframe(
        _to_table(jobs),
        key=TABLE,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        column_order=_columns(jobs),
        column_config=_column_config(),
        row_height=ROW_HEIGHT_PX,
        height=HEADER_HEIGHT_PX + ROW_HEIGHT_PX * min(len(jobs), MOST_ROWS_SEEN),
        placeholder="",
        alt=f"Table of {len(jobs)} clips with their state and result",
    )
    return [jobs[i].id for i in event["selection"]["rows"]]


def _keep_selection(identifiers: list[str]) -> None:
    """Keeps the same clips selected where other rows are shown: a selection is of row numbers."""
    before = st.session_state.get(SHOWN, [])
    if TABLE in st.session_state and before != identifiers:
        rows = st.session_state[TABLE]["selection"]["rows"]
        selected = {before[row] for row in rows if row < len(before)}
        kept = [row for row, identifier in enumerate(identifiers) if identifier in selected]
        st.session_state[TABLE] = {"selection": {"rows": kept}}
    st.session_state[SHOWN] = identifiers


def _to_table(jobs: Sequence[AnyJob]) -> dict[str, list[Any]]:
    """Column -> its values."""
    origin = media_url("")
    rows = [{"picture": _picture(origin, job), **to_row(job)} for job in jobs]
    for row in rows:
        for column in ("progress", "probability"):
            row[column] = None if row[column] is None else 100 * row[column]
    return {column: [row[column] for row in rows] for column in TABLE_COLUMNS}


def _columns(jobs: Sequence[AnyJob]) -> list[str]:
    """Which columns are shown: progress only while there is any."""
    works = any(not job.state.is_over for job in jobs)
    return [column for column in TABLE_COLUMNS if works or column != "progress"]


def _picture(origin: str, job: AnyJob) -> str | None:
    return f"{origin}{thumbnail_route(job.id)}" if job.result else None


def _column_config() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "picture": st.column_config.ImageColumn("Picture", width=70),
        "name": st.column_config.TextColumn("Name", width="medium", pinned=True),
        "state": st.column_config.TextColumn("State", width=110),
        "progress": st.column_config.ProgressColumn(
            "Progress", format="%.0f %%", min_value=0, max_value=100, width=120
        ),
        "emotion": st.column_config.TextColumn("Emotion", width=120),
        "probability": number("Probability", format="%.0f %%", width=100),
        "valence": number("Valence", format="%+.2f", help="How pleasant, -1 to 1", width="small"),
        "arousal": number("Arousal", format="%+.2f", help="How excited, -1 to 1", width="small"),
        "duration_s": number("Length (s)", format="%.1f", width=90),
        "head": st.column_config.TextColumn("Head", width="medium"),
        "added": st.column_config.DatetimeColumn(
            "Added", format="D MMM, HH:mm", timezone=st.context.timezone or "UTC"
        ),
    }


def _show_names(jobs: Sequence[AnyJob], names: dict[str, str]) -> list[str]:
    """The way to choose without a mouse; returns the ids of the clips that are named."""
    still_there = [name for name in st.session_state.get(NAMED, []) if name in names]
    st.session_state[NAMED] = still_there
    identifiers = [job.id for job in jobs]
    return st.multiselect(
        "Choose clips by name, or tick them in the table",
        identifiers,
        format_func=lambda identifier: names[identifier],
        placeholder="Name of a clip",
        key=NAMED,
    )


def _show_actions(
    library: Library,
    pages: Pages,
    chosen: Sequence[AnyJob],
    names: dict[str, str],
    all_count: int,
) -> None:
    identifiers = [job.id for job in chosen]
    can_compare = len(chosen) == 2 and all(job.result for job in chosen)
    are_over = all(job.state.is_over for job in chosen)
    _show_chosen(chosen, names)
    with st.container(horizontal=True, key="actions"):
        if len(chosen) == 1:
            pages.link("result", "Open", id=identifiers[0])
        else:
            st.button("Open", disabled=True, help="One clip")
        if can_compare:
            pages.link("compare", "Compare", ids=",".join(identifiers))
        else:
            st.button("Compare", disabled=True, help="Two clips that have a result")
        st.button(
            "Cancel",
            disabled=are_over,
            help="Clips that wait or are worked on",
            key=_key("cancel", identifiers),
            on_click=_cancel,
            args=(library, identifiers),
        )
        with st.popover("Delete", disabled=not chosen):
            st.markdown(
                f"Delete {counted(len(chosen), 'clip')} with all results? This cannot be undone."
            )
            st.button(
                f"Delete {counted(len(chosen), 'clip')}",
                key=_key("delete", identifiers),
                on_click=_delete,
                args=(library, identifiers),
            )
        what = counted(len(chosen), "clip") if chosen else f"all {counted(all_count, 'clip')}"
        st.link_button(
            f"Export {what}",
            media_url(export_url(identifiers)),
            help="A ZIP with each result and timeline as JSON, and a table of all of them",
        )


def _show_chosen(chosen: Sequence[AnyJob], names: dict[str, str]) -> None:
    if not chosen:
        st.caption("No clip is chosen.")
        return
    st.caption(f"{counted(len(chosen), 'clip')} chosen")
    for job in chosen:
        if job.failure:
            st.warning(plain(f"{names[job.id]}: {job.failure.message} {job.failure.advice}"))


def _key(action: str, identifiers: Sequence[str]) -> str:
    """Of a button that acts on these clips, so that another choice makes another button.

    When a press arrives, other clips may lie in the chosen rows, as after the first press of a
    double click: its button is still that of the clips that it was drawn for.
    """
    return f"library-{action}-{hashlib.sha256(','.join(identifiers).encode()).hexdigest()}"


def _cancel(library: Library, identifiers: list[str]) -> None:
    for identifier in identifiers:
        with suppress(JobNotFoundError):  # It may be deleted meanwhile.
            library.cancel(identifier)
    st.rerun()


def _delete(library: Library, identifiers: list[str]) -> None:
    for identifier in identifiers:
        with suppress(JobNotFoundError):
            library.delete(identifier)
    st.rerun()
