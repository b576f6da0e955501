"""`vemoclap fetch`, and links in the other commands before any server is asked."""

from pathlib import Path

import pytest

from tests.link_server import Site
from vemoclap_client import errors
from vemoclap_client.cli.main import main

NOBODY = "127.0.0.1:1"


def test_a_folder_gets_files_named_after_their_titles(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "A film.mp4").write_text("mine")
    command = ["fetch", f"{site.address}/one.html", "--out", f"{tmp_path}", "--allow-private"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'A film (2).mp4'}\n"
    assert (tmp_path / "A film (2).mp4").read_bytes() == site.files["clip.mp4"][1]
    assert (tmp_path / "A film.mp4").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_gets_the_name_that_was_asked_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEMOCLAP_FETCH_PRIVATE", "1")
    target = tmp_path / "new folder" / "film.mp4"
    assert main(["fetch", f"{site.address}/clip.mp4", "--out", str(target)]) == 0
    assert [file.name for file in target.parent.iterdir()] == ["film.mp4"]
    before = len(site.asked)
    command = ["fetch", f"{site.address}/clip.mp4", "--out", str(target)]
    assert main(command) == errors.OutputError.exit_code
    assert len(site.asked) == before


def test_limits_are_options(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["fetch", f"{site.address}/clip.mp4", "--out", str(tmp_path), "--allow-private"]
    assert main([*common, "--max-mb", "0.001"]) == errors.TooLargeError.exit_code
    assert "0.001 MB" in capsys.readouterr().err
    assert main([*common, "--max-duration-s", "1.5"]) == errors.TooLongError.exit_code
    assert "1.5 s" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "much"])
def test_a_limit_that_is_none_is_wrong_usage(limit: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fetch", "http://example.org/", "--max-mb", limit])
    assert caught.value.code == 2


def test_an_option_is_no_link() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fetch", "-x"])
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["classify", "timeline"])
def test_a_missing_server_is_said_before_a_download(command: str, site: Site) -> None:
    before = len(site.asked)
    arguments = [command, f"{site.address}/clip.mp4", "--allow-private", "--url", NOBODY]
    assert main(arguments) == errors.ServerUnavailableError.exit_code
    assert len(site.asked) == before
