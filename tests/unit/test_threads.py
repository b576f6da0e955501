"""Threads and instances are decided by the processors there are."""

from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from server import threads
from server.errors import UsageError
from server.slots.slot import THREADS_PARAMETER

KIND_AUTO, KIND_CPU, KIND_GPU = (
    ModelInstanceGroup.KIND_AUTO,
    ModelInstanceGroup.KIND_CPU,
    ModelInstanceGroup.KIND_GPU,
)


def configuration(kind: int = KIND_CPU) -> ModelConfig:
    config = ModelConfig()
    config.instance_group.add(count=1, kind=kind)
    config.parameters[THREADS_PARAMETER].string_value = "1"
    return config


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_control_group_limits_the_processors(
    files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.cgroup_quota(tmp_path) == quota


def test_a_slot_has_instances_by_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "processors", lambda: 16)
    configs = {"speech_recognizer": configuration(), "fusion": configuration()}
    planned = threads.plan(configs)
    counts = {slot: config.instance_group[0].count for slot, config in planned.items()}
    assert counts == {"speech_recognizer": 7, "fusion": 1}
    assert configs["speech_recognizer"].instance_group[0].count == 1, "the original is unchanged"


def test_instances_on_a_gpu_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "processors", lambda: 16)
    on_gpu = {"speech_recognizer": configuration(KIND_GPU)}
    assert threads.plan(on_gpu)["speech_recognizer"].instance_group[0].count == 1


def test_beside_a_gpu_the_steps_that_cut_and_scale_have_the_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "processors", lambda: 16)
    configs = {"screen_reader": configuration(), "face_detector": configuration(KIND_AUTO)}
    for kind, steps in ((KIND_CPU, 1), (KIND_GPU, 4)):
        planned = threads.plan(configs, automatic=kind)
        assert planned["screen_reader"].instance_group[0].count == steps
        assert planned["face_detector"].instance_group[0].kind == kind


def test_no_kind_is_left_to_triton_which_would_take_a_gpu_that_a_backend_cannot_use() -> None:
    planned = threads.plan({"fusion": configuration(KIND_AUTO)})
    assert planned["fusion"].instance_group[0].kind == KIND_CPU


def test_threads_and_instances_can_be_given() -> None:
    planned = threads.plan({"fusion": configuration()}, threads=3, instances={"fusion": 2})
    assert planned["fusion"].parameters[THREADS_PARAMETER].string_value == "3"
    assert planned["fusion"].instance_group[0].count == 2
    with pytest.raises(UsageError, match="no slot nonsense"):
        threads.plan({"fusion": configuration()}, instances={"nonsense": 2})
