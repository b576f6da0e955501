"""Which clips a data set's lists mean, whatever form their names have."""

import json
from pathlib import Path

import pytest

from training import lists, splits
from training.errors import StoreError
from training.lists import Lists

IDS = ("anger/a1.mp4", "anger/12.avi", "joy/12.mp4", "joy/b.c")


def blacklisted(path: Path, *names: str) -> lists.Choice:
    file = path / "blacklist.txt"
    file.write_text("\n".join(names))
    return lists.choose(IDS, Lists(blacklist=file))


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        ("anger/a1.mp4", "anger/a1.mp4"),
        ("a1", "anger/a1.mp4"),
        ("Ekman6/Anger/a1", "anger/a1.mp4"),
        ("videos\\joy\\12.webm", "joy/12.mp4"),
        ("b.c", "joy/b.c"),
    ],
)
def test_a_name_may_have_folders_and_a_suffix(listed: str, name: str, tmp_path: Path) -> None:
    assert blacklisted(tmp_path, listed).skipped == {name: "on the blacklist"}


def test_a_name_that_may_be_two_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"12 may be anger/12.avi or joy/12.mp4"):
        blacklisted(tmp_path, "12")


def test_names_of_no_clip_are_counted_and_a_list_of_such_is_refused(tmp_path: Path) -> None:
    choice = blacklisted(tmp_path, "a1", "", "joy/a1", "zz")
    assert set(choice.skipped) == {"anger/a1.mp4"}
    assert len(choice.notes) == 1
    assert "2 of 3 names are no clip's, as joy/a1" in choice.notes[0]
    with pytest.raises(StoreError, match=r"1 of 1 names .* a clip is called anger/a1.mp4"):
        blacklisted(tmp_path, "zz")


def test_clips_in_no_split_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "splits.json"
    file.write_text(json.dumps({"trn": ["anger/12"], "tst": ["joy/12", "a1"]}))
    choice = lists.choose(IDS, Lists(splits=file))
    assert choice.splits == {
        "anger/12.avi": splits.TRAIN,
        "joy/12.mp4": splits.TEST,
        "anger/a1.mp4": splits.TEST,
    }
    assert choice.skipped == {"joy/b.c": "not in splits.json"}
    assert not lists.names_split(file, splits.VALIDATION)


def test_a_clip_under_two_names_is_in_one_split(tmp_path: Path) -> None:
    file = tmp_path / "splits.json"
    file.write_text(json.dumps({"train": ["a1"], "test": ["anger/a1.mp4"]}))
    with pytest.raises(StoreError, match="names a clip twice"):
        lists.choose(IDS, Lists(splits=file))


def test_without_lists_every_clip_is_used() -> None:
    assert lists.choose(IDS, lists.NO_LISTS) == lists.Choice(None, {})


def test_validation_is_drawn_from_training_and_then_kept() -> None:
    labels = {f"{emotion} {n}": emotion for emotion in ("anger", "joy") for n in range(40)}
    given = {name: splits.TEST if int(name[-1]) > 6 else splits.TRAIN for name in labels}
    few = {name: part for name, part in given.items() if len(name.split()[1]) < 2}
    earlier = splits.with_validation(few, labels, seed=1)
    parts = splits.with_validation(given, labels, seed=1, earlier=earlier)
    assert earlier.items() <= parts.items()
    tested = {name for name, part in given.items() if part == splits.TEST}
    assert {name for name, part in parts.items() if part == splits.TEST} == tested
    for emotion in ("anger", "joy"):
        drawn = [n for n, part in parts.items() if part == splits.VALIDATION and emotion in n]
        assert len(drawn) == round(0.15 * 28)
    assert splits.with_validation(parts, labels, seed=2) == parts
