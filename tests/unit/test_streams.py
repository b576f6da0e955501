"""Which sound of several is the main one."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.clips import Tone, join_streams, write_clip, write_sound
from vemoclap_client.errors import AudioTrackError
from vemoclap_client.media.container import choose_audio_stream, open_container
from vemoclap_client.media.parts import SpeechPiece, decode_parts
from vemoclap_client.media.video import decode

PLAIN, DEFAULT = Disposition(0), Disposition.default
COMMENTARY, IMPAIRED = Disposition.comment, Disposition.hearing_impaired


def join_sounds(folder: Path, tracks: list[tuple[Disposition, str]]) -> Path:
    """A file of silent tracks with these dispositions and titles."""
    source = write_sound(folder / "sound.mka", Tone(seconds=0.2))
    target = folder / "tracks.mkv"
    with av.open(str(target), "w") as output:
        for disposition, title in tracks:
            with av.open(str(source)) as container:
                stream = container.streams.audio[0]
                copied = output.add_stream_from_template(stream)
                copied.disposition = disposition
                copied.metadata["title"] = title
                if not output.streams.video:
                    packets = [packet for packet in container.demux(stream) if packet.size]
        for number, _ in enumerate(tracks):
            for packet in packets:
                packet.stream = output.streams[number]
                output.mux(packet)
    return target


@pytest.mark.parametrize(
    ("tracks", "chosen"),
    [
        ([(PLAIN, ""), (DEFAULT, "")], 1),
        ([(COMMENTARY, ""), (PLAIN, "")], 1),
        ([(COMMENTARY | DEFAULT, ""), (PLAIN, "")], 1),
        ([(Disposition.visual_impaired, ""), (IMPAIRED, ""), (PLAIN, "")], 2),
        ([(PLAIN, "Director's Commentary"), (PLAIN, "Main")], 1),
        ([(PLAIN, ""), (PLAIN, "")], 0),
        ([(COMMENTARY, "")], 0),
    ],
)
def test_the_main_sound_is_chosen(
    tmp_path: Path, tracks: list[tuple[Disposition, str]], chosen: int
) -> None:
    with open_container(join_sounds(tmp_path, tracks)) as container:
        stream = choose_audio_stream(container)
        assert stream is not None
        assert container.streams.audio.index(stream) == chosen


def test_a_track_is_chosen_by_its_number(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    tracks = [write_sound(tmp_path / f"{hz}.mka", Tone((hz,), seconds=2)) for hz in (440, 880)]
    path = join_streams(tmp_path / "film.mkv", clip, *tracks, default=1)
    for number, hz in ((None, 440), (1, 440), (2, 880)):
        spectrum = np.abs(np.fft.rfft(decode(path, number).audio[:16_000]))
        assert spectrum.argmax() == hz
        piece = next(decode_parts(path, 1, 1, number))
        assert isinstance(piece, SpeechPiece)
        assert np.abs(np.fft.rfft(piece.samples[:16_000])).argmax() == hz
    with pytest.raises(AudioTrackError, match="no sound track 3"):
        decode(path, 3)
