"""The benchmark's load on a real server, and the same clip without one."""

from pathlib import Path

import numpy as np
import pytest

from server.slots.slot import CPU
from server.threads import processors
from tests.benchmark.clips import Clip, read_clips
from tests.benchmark.figures import CLIENT, TRITON, Figures
from tests.benchmark.in_process import InProcess
from tests.benchmark.load import connect, measure, measure_files, request_of
from tests.benchmark.networks import OnnxNetworks
from tests.benchmark.report import render
from tests.launching import PROJECT, Launched
from vemoclap_client.contract import FRAMES, PROBABILITIES


@pytest.fixture
def clip(samples: Path) -> Clip:
    (clip,) = read_clips([samples / "title_card.mp4"])
    return clip


def test_it_measures_one_clip_at_1_and_2_in_flight(server: Launched, clip: Clip) -> None:
    measured = connect("served", server.url, server.triton_pid)
    alone = measure(measured, [clip], in_flight=1, count=1)
    pair = measure(measured, [clip], in_flight=2, count=2)
    files = measure_files(measured, [clip], in_flight=1, count=1)
    assert "vemoclap_ensemble" in measured.ensembles
    assert "image_encoder" in measured.steps
    assert [alone.clips, pair.clips] == [1, 2]
    assert pair.slots["image_encoder"].rows == 2
    assert {"image_encoder", *pair.slots, CLIENT, TRITON} <= pair.processor_s.keys()
    assert alone.emotions == pair.emotions == files.emotions
    used_s = sum(pair.processor_s.values())
    assert 0 < used_s <= (pair.seconds + 1) * processors()
    assert 0 < pair.ensemble_s <= sum(pair.latencies_s)
    assert 0 < files.decode_s < files.latencies_s[0]
    table = render(Figures({"clips": "1"}, (1, 2), measured.steps, (alone, pair, files)))
    assert "| clips/s at 2 in flight |" in table


def test_in_this_process_the_same_clip_has_the_same_answer(server: Launched, clip: Clip) -> None:
    repository = PROJECT / "model_repository"
    steps = InProcess(repository, OnnxNetworks(repository, CPU), CPU)
    found = steps.classify(clip.frames, clip.audio)[PROBABILITIES]
    inputs = {tensor.name(): tensor for tensor in request_of(clip)["inputs"]}
    assert inputs[FRAMES].shape() == [1, *clip.frames.shape]
    answer = server.infer("vemoclap", {"FRAMES": clip.frames[None], "AUDIO": clip.audio[None]})
    # The server's numpy is another release, and its batches other sizes: rounding differs.
    assert np.abs(found - answer.as_numpy(PROBABILITIES)).max() < 1e-3
    assert steps.processor_s["image_encoder"] > 0
