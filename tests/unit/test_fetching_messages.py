"""What yt-dlp says, and what it becomes."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from vemoclap_client import errors
from vemoclap_client.fetch._messages import clean, to_error, without_user
from vemoclap_client.files import move_into, move_to, safe_name

URL = "https://example.org/v"
NO_RUNTIME = (
    "[youtube] No supported JavaScript runtime could be found. Only deno is enabled by default; "
    "to use another runtime add  --js-runtimes RUNTIME[:PATH]  to your command/config."
)
NO_FORMAT = "Requested format is not available. Use --list-formats for a list of available formats"

SAID = [
    (
        "[youtube] abc: Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or "
        "--cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ",
        errors.BotCheckError,
        "--cookies FILE",
    ),
    (
        "[youtube] abc: This content isn't available, try again later. The current session has "
        "been rate-limited by YouTube for up to an hour.",
        errors.BotCheckError,
        "give the file",
    ),
    (
        "[generic] Got HTTP Error 403 caused by Cloudflare anti-bot challenge",
        errors.BotCheckError,
        "person",
    ),
    (
        "[youtube] abc: Private video. Sign in if you've been granted access to this video",
        errors.VideoUnavailableError,
        "Private video",
    ),
    (
        "[youtube] abc: Join this channel to get access to members-only content",
        errors.VideoUnavailableError,
        "everybody",
    ),
    ("[youtube] abc: Sign in to confirm your age", errors.VideoUnavailableError, "everybody"),
    (
        "[youtube] abc: Video unavailable. This video has been removed by the uploader",
        errors.VideoUnavailableError,
        "does not have",
    ),
    (
        "[x] This video is not available from your location due to geo restriction",
        errors.VideoUnavailableError,
        "where this computer is",
    ),
    (
        "[youtube] abc: The uploader has not made this video available in your country",
        errors.VideoUnavailableError,
        "where this computer is",
    ),
    (
        "[x] This video is only available for registered users",
        errors.VideoUnavailableError,
        "everybody",
    ),
    ("[youtube] abc: This live event will begin in 3 hours.", errors.VideoUnavailableError, "live"),
    ("[youtube] abc: Premieres in 20 hours", errors.VideoUnavailableError, "begun"),
    ("[x] abc: This video is DRM protected", errors.VideoUnavailableError, "DRM"),
    ("[generic] Unsupported URL: https://example.org/v", errors.NothingThereError, "no video"),
    ("[x] abc: No video formats found!", errors.NothingThereError, "no video"),
    (
        "[generic] Unable to download webpage: HTTP Error 404: Not Found",
        errors.NothingThereError,
        "404",
    ),
    (
        "[generic] Unable to download webpage: [Errno -2] Name or service not known "
        "(caused by TransportError('[Errno -2] Name or service not known'))",
        errors.NothingThereError,
        "no computer of that name",
    ),
    ("Unable to download webpage: The read operation timed out", errors.TransferError, "timed out"),
    ("unable to download video data: HTTP Error 503: Unavailable", errors.TransferError, "503"),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
        errors.TransferError,
        "what it says",
    ),
    ("unable to write data: [Errno 27] File too large", errors.TooLargeError, "more than"),
    ("unable to write data: [Errno 28] No space left on device", errors.FetchError, "room"),
    (NO_FORMAT, errors.NothingThereError, "no pictures"),
    ("something nobody has seen yet", errors.FetchError, "something nobody has seen yet"),
]


@pytest.mark.parametrize(("message", "error", "said"), SAID)
def test_each_message_is_known(message: str, error: type[errors.FetchError], said: str) -> None:
    raised = to_error(URL, f"ERROR: {message}")
    assert type(raised) is error
    assert str(raised).startswith(f"{URL}: ")
    assert said in str(raised)
    assert "yt-dlp/wiki" not in str(raised)
    assert "caused by Transport" not in str(raised)


@pytest.mark.parametrize(
    "message",
    [
        NO_FORMAT,
        "No video formats found!",
        "unable to download video data: HTTP Error 403: Forbidden",
    ],
)
def test_a_missing_javascript_runtime_is_said(message: str) -> None:
    raised = to_error(URL, message, [NO_RUNTIME])
    assert type(raised) is errors.JavaScriptNeededError
    assert "pip install deno" in str(raised)
    assert "give the file" in str(raised)
    assert type(to_error(URL, message)) is not errors.JavaScriptNeededError


def test_a_bot_check_is_one_even_without_javascript() -> None:
    raised = to_error(URL, "Sign in to confirm you're not a bot", [NO_RUNTIME])
    assert type(raised) is errors.BotCheckError


@pytest.mark.parametrize(
    "words",
    [
        "No supported JavaScript runtime could be found",
        "challenge solving failed",
        "Requested format is not available",
        "No video formats found!",
        "Unsupported URL: ",
        "This video is only available for registered users",
        "This video is not available from your location due to geo restriction",
        "This video is DRM protected",
        "Live HLS streams are not supported by the native downloader",
        "unable to download video data",
        "rate-limited by YouTube",
        "anti-bot challenge",
        "HTTP Error ",
        "please report this issue on",
    ],
)
def test_yt_dlp_still_says_so(words: str) -> None:
    source = Path(str(files("yt_dlp")))
    places = ["YoutubeDL.py", "extractor/common.py", "extractor/generic.py", "utils/_utils.py"]
    places += ["extractor/youtube/_video.py", "downloader/hls.py", "networking/exceptions.py"]
    assert any(words in (source / place).read_text(encoding="utf-8") for place in places)


def test_words_are_cleaned() -> None:
    message = (
        "ERROR: \x1b[0;31m[site:video]\x1b[0m abc: it broke at http://anna:secret@host/x; please "
        "report this issue on  https://github.com/yt-dlp/yt-dlp/issues?q= , filling out the form"
    )
    assert clean(message) == "it broke at http://host/x"
    assert len(clean("x" * 10_000)) < 400


def test_user_names_are_cut_from_links() -> None:
    assert without_user("https://a:b@c.org:8443/d?e=f@g#h") == "https://c.org:8443/d?e=f@g#h"
    assert without_user("https://c.org/d") == "https://c.org/d"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A film: part 1/2", "A film_ part 1_2"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "video"),
        ("", "video"),
        ("///", "video"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a\x00b\nc\u202ed", "a b c d"),
        ("\u732b" * 200, "\u732b" * 50),
        ("CON", "CON_"),
        ("con.mp4", "con.mp4_"),
        ("\udcff film", "? film".replace("?", "_")),
        ("  Gr\u00fc\u00dfe \U0001f600 ", "Gr\u00fc\u00dfe \U0001f600"),
    ],
)
def test_titles_become_safe_names(title: str, name: str) -> None:
    assert safe_name(title) == name
    assert re.fullmatch(r"[^/\\\x00-\x1f]+", name)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for number in ("first", "second", "third"):
        source = tmp_path / "source.mp4"
        source.write_text(number)
        move_into(source, tmp_path, "A film")
    names = ["A film.mp4", "A film (2).mp4", "A film (3).mp4"]
    assert [(tmp_path / name).read_text() for name in names] == ["first", "second", "third"]
    source.write_text("fourth")
    with pytest.raises(errors.OutputError, match="exists"):
        move_to(source, tmp_path / names[0])
    assert (tmp_path / names[0]).read_text() == "first"


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "source.mp4").touch()
    (tmp_path / "file").touch()
    with pytest.raises(errors.OutputError):
        move_to(tmp_path / "source.mp4", tmp_path / "file" / "x.mp4")
    assert (tmp_path / "source.mp4").exists()
