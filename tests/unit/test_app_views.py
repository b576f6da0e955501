"""The parts of a clip's page, made of the published JSON, without Streamlit."""

import json
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pytest
from msgspec.structs import replace

from tests import schemas
from tests.timelines import EVEN, make_timeline, make_window, probabilities
from tests.unit.app_fixture import done_job, make_result, screen_text, waiting_job
from ui.jobs.job import STAGES, Job, KnownEvidence, Stage, StageState
from ui.jobs.store import JobStore
from ui.parts import contributions, headline, plane, timeline, words
from ui.parts.charts import emotions_chart
from ui.parts.palette import EMOTION_COLOURS
from ui.screens.result import evidence, frames, progress
from ui.screens.result.downloads import downloads
from ui.screens.result.picture import picture, picture_svg
from vemoclap_client.analysis import AudioEvent, Head, Speech, SpeechSegment
from vemoclap_client.contract import EMOTIONS, EXPRESSIONS, MODALITIES
from vemoclap_client.result import Moment, TimedCaption, TimedFace

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
FACE = TimedFace(
    2, (0.25, 0.5, 0.5, 1.0), 0.98, dict.fromkeys(EXPRESSIONS, 0.05) | {"happy": 0.7}, 1.5
)
RESULT = replace(make_result("clip.mp4", "joy", screen_text()), faces=(FACE,))
TIMELINE = make_timeline(
    [
        make_window(0.0, 8.0, probabilities("fear", 0.6)),
        make_window(4.0, 12.0, probabilities("joy", 0.9)),
    ],
    4.0,
)


class Tags(HTMLParser):
    """Which elements HTML has, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def rows_of(chart: alt.LayerChart, layer: int) -> list[dict[str, Any]]:
    """The data of one of a chart's layers."""
    document = json.loads(chart.to_json())
    data = document["layer"][layer].get("data") or document["data"]
    rows: list[dict[str, Any]] = data.get("values") or document["datasets"][data["name"]]
    return rows


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return replace(done_job(JobStore(tmp_path)), result=RESULT, timeline=TIMELINE)


def test_the_made_up_documents_are_what_is_published() -> None:
    schemas.check(RESULT.to_dict(), "result")
    schemas.check(TIMELINE.to_dict(), "timeline")


@pytest.mark.parametrize(
    ("time_s", "text"), [(0, "0:00"), (4.99, "0:04"), (75, "1:15"), (3723, "1:02:03")]
)
def test_clock(time_s: float, text: str) -> None:
    assert words.clock(time_s) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.999, ">99 %"), (1, "100 %")]
)
def test_a_share_is_not_rounded_to_nothing_or_all(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_languages_have_names() -> None:
    assert words.language_name("de") == "German"
    assert words.language_name("unknown") == "language not recognised"
    assert words.language_name("xx") == "xx"


def test_the_headline_says_the_emotion_its_share_and_the_head() -> None:
    text = Tags(headline.headline_html(RESULT)).text
    assert "Joy 75 %" in text
    assert "zero-shot (not trained on Ekman-6" in text
    assert "embedded profile" in text


def test_an_even_clip_conveys_nothing() -> None:
    even = replace(make_result("clip.mp4", "joy"), probabilities=EVEN)
    text = Tags(headline.headline_html(even)).text
    assert headline.NOTHING in text
    assert not any(emotion in text.lower() for emotion in ("joy", "anger"))


def test_an_emotion_that_hardly_leads_does_not_stand_out() -> None:
    faint = replace(RESULT, probabilities=probabilities("joy", 0.3))
    text = Tags(headline.headline_html(faint)).text
    assert "Joy 30 %" in text
    assert headline.NOTHING in text
    assert headline.NOTHING not in Tags(headline.headline_html(RESULT)).text


def test_heads_that_are_not_to_be_believed_say_so() -> None:
    kinds = {"random": Head("random", None), "zero-shot": Head("zero-shot", None)}
    warnings = {name: words.head_warning(head) for name, head in kinds.items()}
    assert "mean nothing" in str(warnings["random"])
    assert "misled" in str(warnings["zero-shot"])
    assert words.head_warning(Head("attention", "Ekman-6")) is None


def test_bars_have_names_values_and_the_palette() -> None:
    rows = rows_of(emotions_chart(RESULT.probabilities), 1)
    assert [row["colour"] for row in rows] == list(EMOTION_COLOURS.values())
    assert rows[EMOTIONS.index("joy")]["label"] == "joy  75 %"
    assert [row["share"] for row in rows] == list(RESULT.probabilities.values())


def test_each_moment_of_the_timeline_belongs_to_one_window() -> None:
    columns = rows_of(timeline.timeline_chart(TIMELINE, chosen=1), 1)
    assert [(row["start"], row["end"]) for row in columns] == [(0.0, 6.0), (6.0, 12.0)]
    assert [row["opacity"] > 0 for row in columns] == [False, True]


def test_a_bar_is_as_high_as_its_probability() -> None:
    bars = rows_of(timeline.timeline_chart(TIMELINE), 2)
    fear = [row for row in bars if row["value"].startswith("fear")]
    heights = [row["bottom"] - row["top"] for row in fear]
    assert heights[0] / timeline.LANE_FULL == pytest.approx(0.6)
    assert heights[1] / timeline.LANE_FULL == pytest.approx(0.02)


def test_a_timeline_that_grows_ends_where_it_is_known() -> None:
    growing = replace(TIMELINE, windows=TIMELINE.windows[:1])
    columns = rows_of(timeline.timeline_chart(growing), 1)
    assert [(row["start"], row["end"]) for row in columns] == [(0.0, 8.0)]


def test_attention_has_lanes_on_the_same_axis() -> None:
    moments = tuple(Moment(time_s, time_s, 0.1 + time_s / 100) for time_s in (0.0, 6.0, 11.0))
    attention = replace(
        make_result("clip.mp4", "joy"),
        attention={"image": moments, "audio": (Moment(0.0, 3.0, 1.0),), "face": ()},
    ).attention
    chart = timeline.timeline_chart(TIMELINE, attention)
    bars = [row for row in rows_of(chart, 2) if "attention" in row["value"]]
    assert [row["window"] for row in bars] == [None] * 4
    assert bars[3]["start"] == 0.0
    assert all(0 <= row["start"] < row["end"] <= 12.0 for row in bars)
    assert "attention: picture', 'attention: sound'" in chart.to_json()


def test_the_timeline_in_words() -> None:
    assert timeline.timeline_summary(TIMELINE) == "from 0:00 fear; from 0:06 joy"
    assert timeline.window_labels(TIMELINE) == ["0:00 fear", "0:04 joy"]


def test_contributions_are_signed_and_absent_modalities_say_why() -> None:
    result = make_result("clip.mp4", "joy")
    html = Tags(contributions.contributions_html(result))
    assert "+0.50" in html.text
    assert "\N{MINUS SIGN}0.10" in html.text
    assert "no text was found in the 16 frames" in html.text
    assert html.names.count("tr") == 1 + len(MODALITIES)
    assert [a["scope"] for a in html.attributes if "scope" in a].count("row") == len(MODALITIES)


def test_what_spoke_most_is_named() -> None:
    assert contributions.contributions_sentence(RESULT).startswith("Faces spoke most for joy")


def test_the_clip_has_its_place_between_the_emotions() -> None:
    html = Tags(plane.plane_html({"": RESULT}, "in words", TIMELINE.windows))
    assert all(emotion in html.text for emotion in EMOTIONS)
    styles = [str(a.get("style")) for a in html.attributes if a.get("title") == "this clip"]
    assert styles[0].startswith(f"left:{50 + 50 * RESULT.valence:.2f}%")
    assert html.attributes[0]["aria-label"] == "in words"


def test_an_even_clip_is_not_said_to_feel_like_anything() -> None:
    even = replace(make_result("clip.mp4", "joy"), probabilities=EVEN)
    assert plane.plane_sentence(even).startswith("Nothing speaks for any emotion")


def test_frames_have_boxes_times_and_words_for_those_who_do_not_see_them() -> None:
    html = Tags(frames.frames_html("abc", range(16), RESULT))
    images = [a for a in html.attributes if "alt" in a]
    assert len(images) == 16
    assert images[2]["alt"] == "Frame at 0:01: a face that looks happy"
    assert images[14]["alt"] == "Frame at 0:10: the words “The end”"
    assert images[3]["src"] == "/clips/abc/frames/3"
    boxes = [a for a in html.attributes if "v-box" in str(a.get("class"))]
    assert boxes[0]["style"] == "left:25.00%;top:50.00%;width:25.00%;height:50.00%"
    assert len(boxes) == 2


def test_frames_are_shown_before_anything_is_known_of_them() -> None:
    html = Tags(frames.frames_html("abc", [0], KnownEvidence()))
    assert html.names.count("img") == 1
    assert frames.frames_sentence(KnownEvidence()) == ""
    assert frames.frames_sentence(KnownEvidence(faces=())) == "No faces in 16 frames."
    assert frames.frames_sentence(RESULT).startswith("1 face and 1 line of text in 16 frames.")


def test_a_transcript_has_times_a_language_and_its_translation() -> None:
    said = (SpeechSegment(0.0, 2.0, "Guten Tag."), SpeechSegment(62.0, 64.0, "Ach."))
    spoken = Speech("Good day. Oh.", "de", 0.93, said, None)
    known = replace(make_result("clip.mp4", "joy"), speech=spoken)
    text = Tags(evidence.speech_html(known)).text
    assert "German, 93 %" in text
    assert "1:02Ach." in text
    assert "In EnglishGood day. Oh." in text
    assert "In English" not in evidence.speech_html(RESULT)


def test_what_is_not_known_yet_differs_from_what_is_not_there() -> None:
    assert "not known yet" in evidence.speech_html(KnownEvidence())
    missing = KnownEvidence(absent={"speech": "the file has no sound track"})
    assert "None: the file has no sound track" in evidence.speech_html(missing)
    assert "None was found" in evidence.audio_events_html(KnownEvidence(audio_events=()))


def test_stages_say_how_far_they_are() -> None:
    stages = dict.fromkeys(STAGES, Stage()) | {
        "fetch": Stage(StageState.WORKING, 0.42, "4.2 of 10.0 MB"),
        "speech": Stage(StageState.ABSENT, None, "the file has no sound track"),
    }
    html = Tags(progress.progress_html(stages))
    assert "Fetching the video42 %4.2 of 10.0 MB" in html.text
    assert "nothing therethe file has no sound track" in html.text
    assert html.names.count("li") == len(STAGES)
    assert "speech" not in progress.unfinished(stages)
    assert "fetch" in progress.unfinished(stages)


def test_strange_text_stays_text(tmp_path: Path) -> None:
    said = (SpeechSegment(0.0, 2.0, HOSTILE),)
    known = replace(
        make_result(HOSTILE, "joy", screen_text(HOSTILE)),
        speech=Speech(HOSTILE, "de", 0.9, said, None),
        absent={"face": HOSTILE},
        faces=(),
    )
    stage = Stage(StageState.WORKING, None, HOSTILE)
    parts = (
        headline.title_html(HOSTILE, "upload", 1.0),
        frames.frames_html("abc", range(16), known),
        evidence.speech_html(known),
        evidence.screen_text_html(known),
        evidence.audio_events_html(KnownEvidence(audio_events=(AudioEvent(HOSTILE, 0.5),))),
        evidence.caption_html(TimedCaption(0, HOSTILE, 0.0)),
        evidence.absent_html(known.absent),
        evidence.warnings_html([HOSTILE]),
        evidence.timings_html({HOSTILE: 1.0}),
        contributions.contributions_html(known),
        progress.progress_html({"decode": stage}),
    )
    for part in parts:
        html = Tags(part)
        assert "script" not in html.names
        assert not any("onerror" in attributes for attributes in html.attributes)
        assert "<script>" in html.text + "".join(str(a.get("alt")) for a in html.attributes)


def test_downloads_are_the_published_documents(job: Job) -> None:
    files = {file.file_name: file for file in downloads(job)}
    result = json.loads(files["done.result.json"].make())
    schemas.check(result, "result")
    assert result == json.loads(json.dumps(replace(RESULT, video="done.mp4").to_dict()))
    schemas.check(json.loads(files["done.timeline.json"].make()), "timeline")
    assert files["done.timeline.csv"].make().startswith(b"start_s,end_s,emotion,anger")
    assert b"00:00:06,000 --> 00:00:12,000\njoy 0.90" in files["done.srt"].make()
    assert files["done.vtt"].make().startswith(b"WEBVTT\n")


def test_what_is_not_there_is_not_offered(job: Job, tmp_path: Path) -> None:
    assert [file.mime for file in downloads(replace(job, timeline=None))] == [
        "application/json",
        "image/png",
        "image/svg+xml",
    ]
    assert downloads(waiting_job(JobStore(tmp_path / "other"))) == []


def test_the_picture_is_a_real_one(job: Job) -> None:
    png = next(file for file in downloads(job) if file.mime == "image/png").make()
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width > 1900
    assert height > 900
    drawn = ElementTree.fromstring(picture_svg(job))
    texts = {"".join(element.itertext()).strip() for element in drawn.iter()}
    assert "done.mp4: joy 75 %" in texts
    assert {"disgust", "surprise"} <= texts


def test_nothing_is_drawn_of_a_job_without_a_result(job: Job) -> None:
    with pytest.raises(ValueError, match="no result"):
        picture(replace(job, result=None))
