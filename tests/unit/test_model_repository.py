"""The committed configurations fit together: slots, export's declarations, the ensemble's maps."""

import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import (
    DataType,
    ModelConfig,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
)

from export import configuration, variants
from export.registry import PROFILES
from export.spec import Slot
from server.errors import WeightsMissingError
from server.limits import is_entry
from server.repository import check_weights, read_configs, without_empty
from server.repository import variants as list_variants
from server.slots.admission import ENSEMBLE_PARAMETER
from server.slots.face import FACES_PER_FRAME
from server.slots.reading import LINES_AT_ONCE
from vemoclap_client import contract

REPOSITORY = Path(__file__).parents[2] / "model_repository"
CONFIGS = read_configs(REPOSITORY)
ENSEMBLE = CONFIGS[contract.ENSEMBLE]
MODELS = {name: config for name, config in CONFIGS.items() if config.platform != "ensemble"}
NETWORKS = [
    pytest.param(slot, id=f"{profile}-{slot.name}")
    for profile, slots in PROFILES.items()
    for slot in slots.values()
    if slot.network
]


def kind(tensor: ModelInput | ModelOutput) -> tuple[str, tuple[int, ...]]:
    return DataType.Name(tensor.data_type), tuple(tensor.dims)


def link_errors(ensemble: ModelConfig, models: dict[str, ModelConfig]) -> list[str]:
    """What is wrong with an ensemble's maps, each with model, tensor and mismatch."""
    errors = []
    kinds = {tensor.name: kind(tensor) for tensor in ensemble.input}
    for step in ensemble.ensemble_scheduling.step:
        outputs = {tensor.name: tensor for tensor in models[step.model_name].output}
        for name, value in step.output_map.items():
            if value in kinds:
                errors.append(f"{step.model_name}.{name}: {value} is written twice")
            if name not in outputs:
                errors.append(f"{step.model_name}.{name}: the model has no such output")
            else:
                kinds[value] = kind(outputs[name])
    read: set[str] = set()
    for step in ensemble.ensemble_scheduling.step:
        inputs = {tensor.name: tensor for tensor in models[step.model_name].input}
        errors += [
            f"{step.model_name}.{name}: no value is mapped to it"
            for name in inputs.keys() - step.input_map.keys()
        ]
        for name, value in step.input_map.items():
            read.add(value)
            found, wanted = kinds.get(value), kind(inputs[name])
            if found != wanted:
                errors.append(f"{step.model_name}.{name}: takes {wanted}, {value} is {found}")
    for tensor in ensemble.output:
        if kinds.get(tensor.name) != kind(tensor):
            errors.append(f"output {tensor.name}: is {kinds.get(tensor.name)}, not {kind(tensor)}")
        if tensor.name in read:
            # Triton leaves out the step that makes it when a request does not ask for it.
            errors.append(f"output {tensor.name}: a step reads it too")
    return errors


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - MODELS.keys()))
def test_every_map_of_an_ensemble_leads_somewhere(name: str) -> None:
    assert link_errors(CONFIGS[name], CONFIGS) == []


def test_the_ensemble_for_files_has_the_other_ones_outputs() -> None:
    outputs = [
        [(tensor.name, kind(tensor)) for tensor in CONFIGS[name].output]
        for name in (contract.ENSEMBLE, contract.JPEG_ENSEMBLE)
    ]
    assert outputs[0] == outputs[1]


ENTRIES = sorted(name for name, config in CONFIGS.items() if is_entry(config))


def test_clients_call_entries() -> None:
    assert (
        sorted((contract.ENTRY, contract.JPEG_ENTRY, contract.FRAME_MODEL, contract.STREAM))
        == ENTRIES
    )


@pytest.mark.parametrize("name", [name for name in ENTRIES if name != contract.STREAM])
def test_an_entry_takes_and_gives_what_its_ensemble_does(name: str) -> None:
    entry = CONFIGS[name]
    ensemble = CONFIGS[entry.parameters[ENSEMBLE_PARAMETER].string_value]
    assert ensemble.platform == "ensemble"
    assert list(entry.input) == list(ensemble.input)
    assert list(entry.output) == list(ensemble.output)
    assert entry.max_batch_size == ensemble.max_batch_size


def test_no_step_of_an_ensemble_is_an_entry() -> None:
    # It would refuse requests as busy, and a step that refuses blocks Triton 2.51.
    steps = {step.model_name for each in CONFIGS.values() for step in each.ensemble_scheduling.step}
    assert not steps & set(ENTRIES)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('value: "PIXELS"', 'value: "DOTS"', "image_encoder.PIXELS: takes"),
        ('key: "HEAD"', 'key: "TAIL"', "fusion.TAIL: the model has no such output"),
        ('value: "SPEECH_ROWS"', 'value: "TEXT_ROWS"', "TEXT_ROWS is written twice"),
        ('value: "ROW_COUNTS"', 'value: "LENGTHS"', "fusion.LENGTHS: takes"),
    ],
)
def test_the_link_check_sees_a_wrong_map(right: str, wrong: str, message: str) -> None:
    text = (REPOSITORY / contract.ENSEMBLE / "config.pbtxt").read_text()
    broken = text_format.Parse(text.replace(right, wrong, 1), ModelConfig())
    assert any(message in error for error in link_errors(broken, MODELS))


def test_the_ensemble_is_the_public_contract() -> None:
    inputs = {tensor.name: kind(tensor) for tensor in ENSEMBLE.input}
    outputs = {tensor.name: kind(tensor) for tensor in ENSEMBLE.output}
    count = contract.FRAME_COUNT
    emotions, modalities = len(contract.EMOTIONS), len(contract.MODALITIES)
    assert inputs == {
        contract.FRAMES: ("TYPE_UINT8", (count, -1, -1, 3)),
        contract.AUDIO: ("TYPE_FP32", (-1,)),
    }
    rows = dict.fromkeys(contract.MODALITIES, count) | {"speech": 1, "text": 1}
    assert outputs == {
        contract.PROBABILITIES: ("TYPE_FP32", (emotions,)),
        contract.CONTRIBUTIONS: ("TYPE_FP32", (modalities, emotions)),
        contract.ATTENTION: ("TYPE_FP32", (len(contract.SEQUENCES), count)),
        contract.ANALYSIS: ("TYPE_STRING", (1,)),
        contract.LENGTHS: ("TYPE_INT32", (modalities,)),
        **{contract.FEATURES[name]: ("TYPE_FP32", (rows[name], -1)) for name in rows},
    }


def test_the_streaming_model_takes_and_gives_what_the_ensemble_does() -> None:
    stream = CONFIGS[contract.STREAM]
    assert stream.model_transaction_policy.decoupled
    taken = {
        tensor.name: kind(tensor)
        for name in (contract.ENSEMBLE, contract.JPEG_ENSEMBLE)
        for tensor in CONFIGS[name].input
    }
    assert {tensor.name: kind(tensor) for tensor in stream.input} == taken
    own = dict.fromkeys((contract.STEP, contract.EVIDENCE, contract.CAPTION), ("TYPE_STRING", (1,)))
    others = {tensor.name: kind(tensor) for tensor in stream.output if tensor.name not in own}
    given = {tensor.name: kind(tensor) for tensor in ENSEMBLE.output}
    assert others.items() <= given.items()
    assert {tensor.name: kind(tensor) for tensor in stream.output} == {**own, **others}
    answers = {contract.PROBABILITIES, contract.CONTRIBUTIONS, contract.ATTENTION}
    assert others.keys() == {*answers, contract.ANALYSIS}


def test_a_timeline_s_models_give_and_take_what_the_ensemble_s_steps_do() -> None:
    steps = {
        ensemble: {step.model_name for step in CONFIGS[ensemble].ensemble_scheduling.step}
        for ensemble in (contract.ENSEMBLE, contract.FRAME_ENSEMBLE)
    }
    of_frames = {"frame_preprocessor", "image_encoder", "face_analyzer", "screen_reader"}
    assert steps[contract.FRAME_ENSEMBLE] == of_frames <= steps[contract.ENSEMBLE]
    head = {tensor.name: kind(tensor) for tensor in MODELS["fusion"].output}
    window = {tensor.name: kind(tensor) for tensor in MODELS[contract.WINDOW_MODEL].output}
    assert window.pop(contract.EVIDENCE) == ("TYPE_STRING", (1,))
    assert window.items() <= head.items()


def test_frames_and_sound_keep_their_names_in_every_step() -> None:
    # The streaming model hands them on without copying, under the name they came with.
    maps = [dict(step.input_map) for step in ENSEMBLE.ensemble_scheduling.step]
    taken = {(name, value) for inputs in maps for name, value in inputs.items()}
    clip = {tensor.name for tensor in ENSEMBLE.input}
    assert {name for name, value in taken if value in clip} == clip


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the configurations, each with its variants."""
    folder = tmp_path_factory.mktemp("derived")
    for name in CONFIGS:
        (folder / name).mkdir()
        shutil.copy(REPOSITORY / name / "config.pbtxt", folder / name)
        variants.write(folder / name)
    assert list_variants(folder) == sorted(variants.VARIANTS_OF)
    return folder


def test_slots_are_served_with_the_configurations_that_were_read() -> None:
    served = without_empty(REPOSITORY, read_configs(REPOSITORY))
    assert served == {name: CONFIGS[name] for name in served}


def test_weights_of_another_format_are_said_to_need_another_variant(
    derived: Path, tmp_path: Path
) -> None:
    slot = tmp_path / "text_encoder"
    shutil.copytree(derived / "text_encoder", slot)
    (slot / "1").mkdir()
    (slot / "1" / "model.onnx").touch()
    check_weights(tmp_path, read_configs(tmp_path, "gpu"))
    with pytest.raises(WeightsMissingError) as raised:
        check_weights(tmp_path, read_configs(tmp_path, "torchscript"))
    ways = "no --variant or --variant gpu or --variant tensorrt"
    assert f"model.onnx: serve it with {ways}, or" in str(raised.value)


@pytest.mark.parametrize("variant", variants.VARIANTS_OF)
def test_a_variant_changes_the_machine_and_the_format_only(variant: str, derived: Path) -> None:
    changed = read_configs(derived, variant)
    assert changed.keys() == CONFIGS.keys()
    devices = set()
    for name, config in changed.items():
        origin = CONFIGS[name]
        assert (config.name, config.max_batch_size) == (name, origin.max_batch_size)
        assert list(config.input) == list(origin.input)
        assert list(config.output) == list(origin.output)
        assert list(config.model_warmup)[: len(origin.model_warmup)] == list(origin.model_warmup)
        if config != origin:
            devices.add(ModelInstanceGroup.Kind.Name(config.instance_group[0].kind))
    assert devices == {"KIND_CPU" if variant == "torchscript" else "KIND_GPU"}
    neural = [c.backend for c in changed.values() if c.backend in ("onnxruntime", "pytorch")]
    if "torchscript" in variant:
        stay = (*variants.AS_THEY_COME, *variants.ON_THE_PROCESSOR)
        assert neural.count("onnxruntime") == len(stay)
    else:
        assert "pytorch" not in neural


@pytest.mark.parametrize("slot", variants.FIXED_SHAPES)
def test_tensorrt_meets_its_largest_batch_while_it_loads(slot: str, derived: Path) -> None:
    config = read_configs(derived, "tensorrt")[slot]
    assert [sample.batch_size for sample in config.model_warmup] == [1, config.max_batch_size]
    assert config.model_warmup[1].inputs == config.model_warmup[0].inputs


@pytest.mark.parametrize("slot", NETWORKS)
def test_a_slots_configuration_fits_what_export_writes(slot: Slot) -> None:
    assert slot.network is not None
    path = REPOSITORY / slot.name / "config.pbtxt"
    configuration.check(slot.name, slot.network, configuration.read(path))


@pytest.mark.parametrize("name", MODELS)
def test_every_slot_states_queue_batching_and_instances(name: str) -> None:
    config = MODELS[name]
    assert config.name == name
    # Each request to the streaming model has answers of its own.
    assert (config.max_batch_size == 1) == (name == contract.STREAM)
    assert [group.count > 0 for group in config.instance_group] == [True]
    if name in ENTRIES:
        return  # They have no queue: they take each request at once, and admit or refuse it.
    policy = config.dynamic_batching.default_queue_policy
    # See a step's config.pbtxt: in an ensemble, a queue limited in length crashes Triton.
    in_ensemble = name in {
        step.model_name for config in CONFIGS.values() for step in config.ensemble_scheduling.step
    }
    assert bool(policy.max_queue_size) != in_ensemble
    # The entries limit how many wait in it, so none has to leave it before its client gives up.
    limit_s = contract.DEFAULT_TIMEOUT_S if in_ensemble else 0
    assert policy.default_timeout_microseconds == limit_s * 1_000_000


@pytest.mark.parametrize(
    ("slot", "items"),
    [
        ("face_detector", contract.FRAME_COUNT),
        ("face_expression", contract.FRAME_COUNT * FACES_PER_FRAME),
        ("audio_encoder", contract.FRAME_COUNT),
        ("text_detector", contract.FRAME_COUNT),
        ("text_recognizer", LINES_AT_ONCE),
    ],
)
def test_all_that_an_analyzer_sends_at_once_is_taken(slot: str, items: int) -> None:
    assert MODELS[slot].max_batch_size >= items


@pytest.mark.parametrize("name", [n for n, c in MODELS.items() if c.backend == "onnxruntime"])
def test_every_neural_slot_but_the_tiny_head_warms_up(name: str) -> None:
    assert bool(MODELS[name].model_warmup) == (name != "fusion")


@pytest.mark.parametrize(
    ("slot", "labels"),
    [
        (contract.ENTRY, contract.EMOTIONS),
        (contract.JPEG_ENTRY, contract.EMOTIONS),
        (contract.ENSEMBLE, contract.EMOTIONS),
        (contract.WINDOW_MODEL, contract.EMOTIONS),
        ("fusion", contract.EMOTIONS),
        ("face_expression", contract.EXPRESSIONS),
        ("text_encoder", contract.SENTIMENTS),
    ],
)
def test_label_files_are_in_the_order_of_the_contract(slot: str, labels: tuple[str, ...]) -> None:
    named = [tensor.label_filename for tensor in CONFIGS[slot].output if tensor.label_filename]
    assert named == ["labels.txt"]
    assert (REPOSITORY / slot / "labels.txt").read_text().split() == list(labels)


@pytest.mark.parametrize("name", [n for n, c in MODELS.items() if c.backend == "python"])
def test_a_python_slots_model_only_names_its_step(name: str) -> None:
    lines = (REPOSITORY / name / "1" / "model.py").read_text().splitlines()
    assert len([line for line in lines if line]) <= 3
