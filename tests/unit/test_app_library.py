"""The library, its export, the comparison and the service page without a server."""

import csv
import dataclasses
import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

import ui.application
from tests.timelines import EVEN
from tests.unit.app_fixture import (
    done_job,
    failed_job,
    make_result,
    open_page,
    press,
    press_twice,
    pressed,
    switch,
    waiting_job,
    working_job,
)
from ui.application import Application
from ui.jobs.job import Job, Source, SourceKind, State
from ui.owners import EVERYONE
from ui.parts.names import unique_names
from ui.screens.compare.comparison import (
    choose,
    difference_sentence,
    differences,
    paired_bars,
)
from ui.screens.library.adding import FAILED, OVER, not_added_yet
from ui.screens.library.export import TABLE, UniqueNames, export_route, export_url, stream_zip
from ui.screens.library.rows import NO_EMOTION, Filters, folder_clips, progress, to_row
from vemoclap_client.analysis import Head
from vemoclap_client.contract import EMOTIONS


def even_job(app: Application) -> Job:
    job = done_job(app.store, "even.mp4")
    assert job.result is not None
    result = replace(job.result, probabilities=EVEN)
    return app.store.change(job.id, lambda job: replace(job, result=result))


def exported(app: Application, identifiers: list[str]) -> zipfile.ZipFile:
    client = TestClient(Starlette(routes=[export_route(lambda _: app.library(EVERYONE))]))
    response = client.get(export_url(identifiers))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].endswith('.zip"')
    return zipfile.ZipFile(io.BytesIO(response.content))


def test_rows_say_what_is_known(app: Application) -> None:
    done = to_row(done_job(app.store))
    assert (done["emotion"], done["probability"], done["duration_s"]) == ("joy", 0.75, 12.0)
    assert done["head"].startswith("zero-shot")
    working = to_row(working_job(app.store))
    assert (working["state"], working["duration_s"], working["emotion"]) == ("working", None, None)
    even = to_row(even_job(app))
    assert (even["emotion"], even["probability"], even["valence"]) == (NO_EMOTION, None, None)
    assert "is not a video" in to_row(failed_job(app.store))["problem"]


def test_progress_is_told_while_there_is_any(app: Application) -> None:
    assert progress(waiting_job(app.store)) == 0
    assert 0 < (progress(working_job(app.store)) or 0) < 1
    assert progress(done_job(app.store)) is None
    assert progress(failed_job(app.store)) is None


def test_filters_by_name_state_and_emotion(app: Application) -> None:
    joy, fear = done_job(app.store, "One.mp4"), done_job(app.store, "two.mp4", "fear")
    failed, even = failed_job(app.store), even_job(app)
    jobs = [joy, fear, failed, even]
    assert list(filter(Filters().passes, jobs)) == jobs
    assert list(filter(Filters(name=" ONE").passes, jobs)) == [joy]
    assert list(filter(Filters(states=[State.FAILED]).passes, jobs)) == [failed]
    assert list(filter(Filters(emotions=["fear", NO_EMOTION]).passes, jobs)) == [fear, even]


def test_clips_of_one_name_are_told_apart(app: Application) -> None:
    first, second = done_job(app.store, "a.mp4"), done_job(app.store, "a.mp4")
    assert unique_names([second, first]) == {first.id: "a.mp4", second.id: "a.mp4 (2)"}


def test_a_clip_called_as_a_number_would_name_it_is_told_apart_too(app: Application) -> None:
    """Whoever chooses a clip by its name and deletes it would delete another."""
    called = ["a", "a (2)", "a", "a (2)"]
    jobs = [waiting_job(app.store, name) for name in called]
    assert list(unique_names(jobs).values()) == ["a", "a (2)", "a (3)", "a (2) (2)"]


def test_a_folder_is_listed_to_its_bottom_and_not_beyond(tmp_path: Path) -> None:
    outside = tmp_path / "outside.mp4"
    outside.touch()
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    for name in ("b.MP4", "deep/er/a.mkv", "notes.txt", ".hidden.mp4"):
        (root / name).touch()
    (root / "folder.mp4").mkdir()
    (root / "out.mp4").symlink_to(outside)
    (root / "broken.mp4").symlink_to(root / "nothing")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.mp4")
    found = folder_clips(root)
    assert [str(path) for path in found.paths] == ["b.MP4", "deep/er/a.mkv"]
    assert found.is_complete
    assert not folder_clips(root, most=1).is_complete
    assert not folder_clips(root, most_entries=1).is_complete


@pytest.mark.parametrize("name", ["missing", "a file"])
def test_a_folder_that_is_none_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(OSError, match=r"."):
        folder_clips(tmp_path / name)


def test_clips_that_the_library_has_are_not_added_again(app: Application, tmp_path: Path) -> None:
    for name in ("done.mp4", "failed.mp4", "new.mp4"):
        (tmp_path / name).touch()
    sources = {
        name: Source(SourceKind.FOLDER, str((tmp_path / name).resolve()))
        for name in ("done.mp4", "failed.mp4")
    }
    jobs = [
        done_job(app.store, source=sources["done.mp4"]),
        failed_job(app.store, source=sources["failed.mp4"]),
    ]
    paths = [str(path) for path in folder_clips(tmp_path).paths]
    assert not_added_yet(tmp_path, paths, jobs, FAILED) == ["failed.mp4", "new.mp4"]
    assert not_added_yet(tmp_path, paths, jobs, OVER) == paths


@pytest.mark.parametrize("button", ["Analyze chosen", "Analyze all that are not in the library"])
def test_a_second_press_adds_no_clip_again(
    app: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, button: str
) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).touch()
    offering = dataclasses.replace(app, settings=dataclasses.replace(app.settings, folder=tmp_path))
    monkeypatch.setattr(ui.application, "application", lambda: offering)
    page = open_page("library")
    page.multiselect("library-paths").set_value(["one.mp4", "two.mp4"]).run()
    press_twice(page, button)
    assert not page.exception
    assert sorted(job.name for job in app.store.list_jobs()) == ["one.mp4", "two.mp4"]


def test_an_export_has_every_document_and_a_table(app: Application) -> None:
    done, failed = done_job(app.store, "a/../b?.mp4"), failed_job(app.store, "=1+1")
    assert done.result is not None and done.timeline is not None
    archive = exported(app, [])
    assert archive.testzip() is None
    assert set(archive.namelist()) == {TABLE, "b_.json", "b_.timeline.json"}
    assert json.loads(archive.read("b_.json")) == json.loads(json.dumps(done.result.to_dict()))
    assert json.loads(archive.read("b_.timeline.json")) == json.loads(
        json.dumps(done.timeline.to_dict())
    )
    rows = list(csv.DictReader(io.StringIO(archive.read(TABLE).decode())))
    by_state = {row["state"]: row for row in rows}
    assert by_state["done"]["file"] == "b_.json"
    assert sum(float(by_state["done"][emotion]) for emotion in EMOTIONS) == pytest.approx(1)
    assert by_state["failed"]["name"] == "'=1+1"
    assert failed.failure and failed.failure.message.lstrip("=") in by_state["failed"]["problem"]


def test_an_export_of_some_leaves_out_the_others(app: Application) -> None:
    chosen = done_job(app.store, "chosen.mp4")
    done_job(app.store, "other.mp4")
    names = exported(app, [chosen.id, "gone"]).namelist()
    assert names == ["chosen.json", "chosen.timeline.json", TABLE]


@pytest.mark.parametrize("asked", ["?ids=gone", "?ids=../../etc", ""])
def test_an_export_of_nothing_is_not_found(app: Application, asked: str) -> None:
    client = TestClient(Starlette(routes=[export_route(lambda _: app.library(EVERYONE))]))
    assert client.get(export_url([]) + asked).status_code == 404


def test_file_names_differ_also_where_case_does_not_count() -> None:
    names = UniqueNames()
    assert [names.take(name) for name in ("a.mp4", "A.mov", "a-2.mp4", "clips.mp4")] == [
        "a",
        "A (2)",
        "a-2",
        "clips (2)",
    ]


@pytest.mark.parametrize(
    ("called", "stems"),
    [
        (("a.mp4", "a.Timeline.mp4"), ["a", "a.Timeline (2)"]),
        (("a.timeline.mp4", "a.mp4"), ["a.timeline", "a (2)"]),
    ],
)
def test_a_timeline_s_file_is_never_another_clip_s(
    called: tuple[str, ...], stems: list[str]
) -> None:
    names = UniqueNames()
    assert [names.take(name) for name in called] == stems


def test_a_zip_is_sent_piece_by_piece() -> None:
    taken = []

    def files() -> "list[tuple[str, str]]":
        for number in range(3):
            taken.append(number)
            yield f"{number}.json", "x" * 1000

    pieces = stream_zip(files())
    next(pieces)
    assert taken == [0]


def test_what_can_be_done_depends_on_the_choice(app: Application) -> None:
    done, other, waiting = done_job(app.store), done_job(app.store), waiting_job(app.store)
    page = open_page("library")
    expected: list[tuple[list[Job], set[str]]] = [
        ([], set()),
        ([done], {"Open"}),
        ([done, other], {"Compare"}),
        ([done, waiting], {"Cancel"}),
        ([waiting], {"Open", "Cancel"}),
    ]
    for jobs, labels in expected:
        chooser = next(box for box in page.multiselect if box.key == "library-named")
        chooser.set_value([job.id for job in jobs]).run()
        enabled = {button.label for button in page.button if not button.disabled}
        enabled |= {link.label for link in page.page_link}
        assert enabled & {"Open", "Compare", "Cancel"} == labels


def test_an_empty_library_says_how_to_begin(app: Application) -> None:
    page = open_page("library")
    assert not page.exception
    assert "no clips yet" in page.info[-1].value
    assert any("VEMOCLAP_APP_FOLDER" in text.value for text in page.markdown)


def test_clips_are_chosen_by_name_and_deleted_after_a_question(app: Application) -> None:
    keep, gone = done_job(app.store, "keep.mp4"), done_job(app.store, "gone.mp4")
    page = open_page("library")
    assert not page.exception
    chooser = next(box for box in page.multiselect if box.key == "library-named")
    chooser.select(gone.id).run()
    assert any(caption.value == "1 clip chosen" for caption in page.caption)
    press(page, "Delete 1 clip")
    assert not page.exception
    assert [job.id for job in app.store.list_jobs()] == [keep.id]


@pytest.mark.parametrize("button", ["Delete 1 clip", "Cancel"])
def test_a_press_acts_on_the_clips_that_the_browser_shows(app: Application, button: str) -> None:
    """Whatever lies in the chosen row by then: a clip that came, or the next one."""
    below, chosen = waiting_job(app.store), waiting_job(app.store)
    page = open_page("library")
    rows = json.dumps({"selection": {"rows": [0], "columns": [], "cells": []}})
    first_row = WidgetState(id=page.dataframe[0].proto.id, string_value=rows)
    page._run(WidgetStates(widgets=[first_row]))
    press_of_first_row = pressed(page, button, first_row)
    came = waiting_job(app.store)
    page._run(WidgetStates(widgets=[first_row]))
    for _ in range(2):
        page._run(press_of_first_row)
    assert not page.exception
    left = {job.id: job.state for job in app.store.list_jobs()}
    assert left.pop(chosen.id, State.CANCELLED) is State.CANCELLED
    assert left == {below.id: State.WAITING, came.id: State.WAITING}


def test_filters_are_there_again_after_another_page(app: Application) -> None:
    done_job(app.store, "one.mp4"), done_job(app.store, "two.mp4", "fear")
    page = open_page("library")
    page.text_input("library-name").input("O")
    page.multiselect("library-state").set_value([State.DONE])
    page.multiselect("library-emotion").set_value(["fear"]).run()
    switch(switch(page, "about"), "library")
    assert not page.exception
    assert page.text_input("library-name").value == "O"
    assert page.multiselect("library-state").value == [State.DONE]
    assert page.multiselect("library-emotion").value == ["fear"]
    assert page.dataframe[0].value["name"].to_list() == ["two.mp4"]


def test_a_waiting_clip_is_cancelled(app: Application) -> None:
    job = waiting_job(app.store)
    page = open_page("library")
    next(box for box in page.multiselect if box.key == "library-named").select(job.id).run()
    press(page, "Cancel")
    assert not page.exception
    assert app.store.get(job.id).state is State.CANCELLED


def test_comparison_takes_what_is_asked_and_fills_up(app: Application) -> None:
    jobs = [done_job(app.store, f"{number}.mp4") for number in range(3)]
    one, two, three = (job.id for job in jobs)
    assert choose(f"{three},{one}", jobs) == ([three, one], [])
    assert choose(three, jobs) == ([three, one], [])
    assert choose(f"{two},{two}", jobs) == ([two, one], [])
    assert choose("gone,", jobs) == ([one, two], ["gone"])


def test_different_heads_and_profiles_are_not_comparable() -> None:
    one = make_result("a.mp4", "joy")
    other = replace(one, profile="paper", head=Head("attention", "Ekman-6"))
    assert differences(one, one) == []
    told = " ".join(differences(one, other))
    assert "Ekman-6" in told and "paper" in told


def test_the_largest_difference_is_told() -> None:
    joy, fear = (make_result("a.mp4", name) for name in ("joy", "fear"))
    assert difference_sentence(joy, fear) == "They differ most in fear: A 5 %, B 75 %."
    assert difference_sentence(joy, joy) == "The two clips have the same probabilities."


def test_paired_bars_share_a_scale_and_name_each_clip() -> None:
    joy, fear = (make_result("a.mp4", name) for name in ("joy", "fear"))
    chart = json.dumps(paired_bars(joy, fear).to_dict())
    assert "A  75 %" in chart and "B  75 %" in chart and '"domain": [0, 1.12]' in chart


def test_the_compare_page_shows_both(app: Application) -> None:
    one, other = done_job(app.store, "one.mp4"), done_job(app.store, "two.mp4", "fear")
    page = open_page("compare", ids=f"{one.id},{other.id}")
    assert not page.exception
    assert [box.value for box in page.selectbox] == [one.id, other.id]
    assert any("differ most in" in caption.value for caption in page.caption)
    assert not page.warning


def test_the_compare_page_follows_its_boxes_and_its_address(app: Application) -> None:
    one, two, three = (done_job(app.store, f"{number}.mp4").id for number in range(3))
    page = open_page("compare", ids=f"{one},{two}")
    page.selectbox[1].select(three).run()
    assert page.query_params == {"ids": f"{one},{three}"}
    assert [box.value for box in page.selectbox] == [one, three]
    # As the browser's Back does.
    page.query_params["ids"] = f"{one},{two}"
    page.run()
    assert [box.value for box in page.selectbox] == [one, two]
    assert page.query_params == {"ids": f"{one},{two}"}
    # Another page, and the same address again.
    switch(page)
    page.query_params["ids"] = f"{one},{two}"
    assert [box.value for box in switch(page, "compare").selectbox] == [one, two]
    # Another tab may delete a clip.
    app.store.delete(two)
    assert [box.value for box in page.run().selectbox] == [one, three]
    assert not page.exception


def test_the_compare_page_without_two_results_says_so(app: Application) -> None:
    done_job(app.store)
    page = open_page("compare")
    assert not page.exception
    assert "Two clips with a result are needed" in page.info[0].value


def test_the_service_page_of_a_dead_server_says_what_to_do(app: Application) -> None:
    failed_job(app.store)
    page = open_page("service")
    assert not page.exception
    assert "does not answer" in page.error[0].value
    assert any("make serve" in text.value for text in page.markdown)
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Failed"] == "1"
    press(page, "Send a test clip")
    assert not page.exception
    assert "was not classified" in page.error[-1].value
