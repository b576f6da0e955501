"""HEAD=authors: the authors' head from a server on this machine that plays GitHub."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from export import inventory
from export.cli import main
from export.command_line import options_of, parser, without
from export.errors import ChecksumError, FetchError
from export.fusion import attention, authors
from export.fusion.attention_head import UPSTREAM_NAMES
from export.options import Checkpoint
from export.registry import needed, select
from export.weights import artifacts, fetch, fetching
from export.weights.cache import cached_path, is_verified
from export.weights.manifest import Artifact
from tests.unit.hub_server import State, git_name, serve

HEAD = b"weights " * 5000
COMMIT = "517417ace7a1160af9a6cf1e2c5b0ea40ebe9e48"


def test_the_manifest_names_the_published_files() -> None:
    head, stats = (artifacts()[name] for name in authors.ARTIFACTS)
    assert head.packages == stats.packages == (f"serkansulun/video-emotion@{COMMIT}",)
    assert head.members == ("weights/classifier/model.pt",)
    assert head.git_checksum == "02f7ebf5c5a063315aaa98100604491c03df2268"
    assert "GPL-3" in head.licence


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A host with both files, which the manifest names by their checksums."""
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    with serve(State({"model.pt": HEAD})) as state:
        monkeypatch.setenv("VEMOCLAP_GITHUB", state.address)
        publish(state, monkeypatch)
        yield state


def publish(state: State, monkeypatch: pytest.MonkeyPatch) -> dict[str, Artifact]:
    """Makes the manifest pin what the host has."""
    head, stats = (artifacts()[name] for name in authors.ARTIFACTS)
    pinned = {
        head.name: replace(head, git_checksum=git_name(state.files["model.pt"])),
        stats.name: replace(
            stats, sha256=hashlib.sha256(state.files.get("stats.pt", b"")).hexdigest()
        ),
    }
    monkeypatch.setattr(fetching, "artifact", lambda name: pinned[name])
    return pinned


def head_path() -> Path:
    return cached_path(fetching.artifact("authors_head"))


def test_the_file_is_verified_as_git_computes_its_name(server: State) -> None:
    path = fetch("authors_head")
    assert path == head_path()
    assert path.read_bytes() == HEAD
    assert is_verified(fetching.artifact("authors_head"))
    asked = len(server.requests)
    assert fetch("authors_head") == path
    assert len(server.requests) == asked


def test_a_download_goes_on_where_it_was_cut(server: State) -> None:
    server.cuts = [15_000]
    with pytest.raises(FetchError, match="run again"):
        fetch("authors_head")
    assert fetch("authors_head").read_bytes() == HEAD
    # The host sends large files to another address, which is asked the same.
    assert server.asked("range") == [None, None, "bytes=15000-", "bytes=15000-"]


def test_other_bytes_are_deleted(server: State) -> None:
    server.spoilt = True
    with pytest.raises(ChecksumError, match="expected git checksum"):
        fetch("authors_head")
    assert [path for path in head_path().parent.iterdir() if not path.name.startswith(".")] == []


def test_what_the_host_does_not_have_is_named(server: State) -> None:
    server.files.clear()
    with pytest.raises(FetchError, match=r"model\.pt.*404"):
        fetch("authors_head")


def test_the_licence_is_named_before_anything_is_fetched(
    server: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--profile", "paper", "--head", "authors", "--out", str(tmp_path / "models")])
    assert code == 49
    said = capsys.readouterr().err
    assert "GNU General Public License, version 3" in said
    assert "--accept GPL-3" in said
    assert server.requests == []


def test_the_fetched_head_fills_the_slot(
    server: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one: as the authors' in its keys and its ranges, and not in its width."""
    small = replace(attention.RELEASED, width=32)
    monkeypatch.setattr(attention, "RELEASED", small)
    torch.manual_seed(0)
    torch.save(attention.random(small).state_dict(), tmp_path / "model.pt")
    ranges = {name: {"min": -2.0, "max": 3.0} for name in UPSTREAM_NAMES.values()}
    torch.save(ranges, tmp_path / "stats.pt")
    server.files |= {name: (tmp_path / name).read_bytes() for name in ("model.pt", "stats.pt")}
    publish(server, monkeypatch)
    wanted = ["fusion", "--profile", "paper", "--head", "authors", "--accept", "GPL-3"]
    given = parser().parse_args(wanted)
    options = options_of(given)
    slot = attention.choose(
        replace(options, weights=Checkpoint(given.head)), given.heads, given.stats
    )
    assert slot is not None
    described = json.loads(slot.texts[attention.IN_SLOT])
    assert described["ranges"]["audio"] == [-2.0, 3.0]
    assert described["trained_on"] == attention.TRAINED_ON
    attention.restore(given.head, small)


def test_without_a_translator_its_slots_are_left_out() -> None:
    slots = select("paper", [])
    left = without(slots, "none")
    assert {slot.name for slot in slots} - {slot.name for slot in left} == {
        "translator",
        "language_identifier",
    }
    assert list(inventory.not_for_commerce(needed(left))) == []
    (line,) = inventory.not_for_commerce(needed(slots))
    assert line.startswith("not for commercial use: translator")
    assert "--translator none" in line


def test_what_an_export_needs_is_listed_before_it_is_fetched(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["model.pt"] = b"small"  # The host does not redirect small ones.
    publish(server, monkeypatch)
    monkeypatch.setattr(inventory, "artifact", fetching.artifact)
    table = list(inventory.to_fetch(["authors_head"]))
    assert "github: serkansulun/video-emotion@517417a" in table[1]
    assert "GPL-3.0" in table[1]
    assert table[1].endswith("can be fetched")
    assert "1 of 1 files are to be fetched: 0 MB" in table
    assert "MB are free" in table[3]
    assert [method for method, _, _ in server.requests if method == "GET"] == []
    fetch("authors_head")
    assert list(inventory.to_fetch(["authors_head"]))[1].endswith("here")
    server.files.clear()
    head_path().unlink()
    lines = inventory.to_fetch(["authors_head"])
    assert "NOT within reach" in list(islice(lines, 4))[1]
    with pytest.raises(FetchError, match="not within reach: authors_head"):
        next(lines)
