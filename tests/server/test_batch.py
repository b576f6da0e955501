"""`vemoclap batch` on a real cluster of two nodes, against two real servers, some of it killed."""

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from tests import batches
from tests.launching import Launched, launched, wait_until
from tests.trace_receiver import Receiver, receiving
from training.parquet import store_features
from training.server_features import FeatureServer
from vemoclap_client import EmotionClient
from vemoclap_client.batch.listing import SOURCE
from vemoclap_client.batch.pipeline import classify_clips, running_ray
from vemoclap_client.batch.rows import NUMBER
from vemoclap_client.batch.worker import WORKERS_KILLED_MAX, Settings
from vemoclap_client.cli.main import main
from vemoclap_client.documents import as_text
from vemoclap_client.errors import ServerUnavailableError, WorkerKilledError
from vemoclap_client.result import EmotionResult

NOBODY = "127.0.0.1:1"

pytestmark = [
    # Ray warns of its own settings.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
    pytest.mark.filterwarnings("default::tests.batches.NodeStartWarning"),
]
SMALL = ("--instances", "image_encoder=1", "--instances", "text_detector=1")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Of the cluster's traces."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def cluster(receiver: Receiver) -> Iterator[Any]:
    # pytest's folder is too long for the names of Ray's sockets, which have 107 bytes at most.
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        batches.cluster_of_two_nodes(
            Path(folder), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A server that tests may kill."""
    with launched(tmp_path_factory.mktemp("second"), SMALL) as running:
        yield running


def test_each_clip_once_whatever_is_killed(
    server: Launched, second: Launched, cluster: Any, tmp_path: Path
) -> None:
    """The driver, a worker, and one of two servers for good. One clip's name is no text."""
    clips, out = batches.write_clips(tmp_path / "clips", 16), tmp_path / "out"
    clips[0] = clips[0].rename(clips[0].with_name(os.fsdecode(b"caf\xe9.mp4")))
    servers = f"{second.url},{server.url}"
    command = [tmp_path / "clips", "--url", servers, "--ray-address", cluster.address]
    said = batches.Killing(command, out, second.launcher.kill).run("driver", "worker", "server")
    found = batches.rows(out)
    assert batches.videos(found) == sorted(as_text(str(clip)) for clip in clips)
    assert {row["exit_code"] for row in found} == {0}
    assert f"{len(clips)} of {len(clips)} clips" in said
    assert "from before" in said


@pytest.mark.soak
def test_500_clips_killed_five_times(
    server: Launched, cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As above at random moments; the killed server is started again by its launcher."""
    clips, out = batches.write_clips(tmp_path / "clips", 500), tmp_path / "out"
    kills = ["driver", "worker", "server", *random.choices(["driver", "worker", "server"], k=2)]
    random.shuffle(kills)
    with launched(tmp_path, SMALL) as other:

        def kill_server() -> None:
            for process in psutil.Process(other.launcher.pid).children():
                process.kill()

        servers = f"{other.url},{server.url}"
        command = [tmp_path / "clips", "--url", servers, "--ray-address", cluster.address]
        killing = batches.Killing(command, out, kill_server, pause_s=(5, 30))
        said = killing.run(*kills)
    found = batches.rows(out)
    longest = max(killing.memory_mb, key=len)
    third = len(longest) // 3
    early, late = (np.max(part, axis=0) for part in (longest[:-third], longest[-third:]))
    with capsys.disabled():
        print(f"\nkilled in turn: {', '.join(kills)}\n{said}")
        print(f"MB in the longest run, driver and workers, first two thirds: {early.round()}")
        print(f"last third: {late.round()}; parts: {len(list(out.iterdir()))}")
    assert batches.videos(found) == sorted(map(str, clips))
    assert {row["exit_code"] for row in found} == {0}
    assert (late < early * 1.2 + 20).all(), "memory grows"


@pytest.mark.soak
def test_throughput_at_one_and_two_servers(
    server: Launched, cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In turns. Two are not slower; how much faster depends on the processors."""
    clips = batches.write_clips(tmp_path / "clips", 48)
    rates: dict[int, list[float]] = {1: [], 2: []}
    with launched(tmp_path, SMALL) as other:
        for turn in range(2):
            for count, url in ((1, server.url), (2, f"{other.url},{server.url}")):
                out = tmp_path / f"{turn}_{count}"
                command = [tmp_path / "clips", "--out", out, "--url", url, "--workers", "4"]
                said = batches.run(*command, "--ray-address", cluster.address, timeout_s=1200)
                assert len(batches.rows(out)) == len(clips)
                rates[count].append(float(said.rpartition(", ")[2].split()[0]))
    with capsys.disabled():
        print(f"\nclips/s by number of servers, 4 workers: {rates}")
    assert max(rates[2]) > 0.7 * max(rates[1])


def test_features_train_a_head_and_rows_say_what_classify_says(
    server: Launched, cluster: Any, receiver: Receiver, client: EmotionClient, tmp_path: Path
) -> None:
    """The workers send their spans, too."""
    clips = batches.write_clips(tmp_path / "clips", 6)
    table = pa.table({"video": [clip.name for clip in clips], "label": ["joy", "fear"] * 3})
    pq.write_table(table, tmp_path / "clips" / "list.parquet")
    out = tmp_path / "out"
    command = [tmp_path / "clips" / "list.parquet", "--out", out, "--url", server.url, "--features"]
    command += ["--workers", "1"]
    receiver.spans.clear()
    assert main(["batch", *map(str, command), "--ray-address", cluster.address]) == 0
    wait_until(lambda: [span.name for span in receiver.spans].count("send") >= len(clips))
    rows = {row["video"]: row for row in batches.rows(out)}
    assert [rows[str(clip)]["label"] for clip in clips] == ["joy", "fear"] * 3
    row = rows[str(clips[3])]
    alone = client.classify(clips[3])
    said = EmotionResult.from_dict(msgspec.json.decode(row["result"]))
    assert said.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert (said.head, said.frame_times_s) == (alone.head, alone.frame_times_s)
    assert row["probability_joy"] == pytest.approx(alone.probabilities["joy"])

    store, skipped = store_features(out, tmp_path / "store", seed=1)
    assert (skipped, sorted(store.splits)) == ({}, sorted(map(str, clips)))
    sample = store.sample(str(clips[3]))
    asked = FeatureServer(server.url, timeout_s=60).extract(clips[3])
    assert (store.manifest.profile, sample.label) == (asked.profile, "fear")
    for modality, features in asked.features.items():
        np.testing.assert_allclose(sample.features[modality], features, atol=1e-5)


@pytest.mark.soak
def test_a_clip_that_crashes_its_process_is_a_row(cluster: Any, tmp_path: Path) -> None:
    """Instead of an end that never comes; the clips of its block are answered."""
    names = ["a.mp4", batches.Crashing.NAME, "b.mp4"]
    clips = pa.table({NUMBER.name: range(3), SOURCE.name: [name.encode() for name in names]})
    settings = Settings(NOBODY, timeout_s=1, patience_s=1)
    with running_ray(cluster.address):
        found = list(classify_clips(clips, settings, 1, batches.Crashing))
    rows = {row["number"]: row for table in found for row in table.to_pylist()}
    assert [rows[number]["error_type"] for number in range(3)] == [
        "VideoError",
        WorkerKilledError.__name__,
        "VideoError",
    ]
    assert f"{WORKERS_KILLED_MAX} processes" in rows[1]["error_message"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ray_of_its_own_is_started_again_and_has_the_command_s_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first start has no time at all. What Ray leaves of it ends with the command."""
    monkeypatch.delenv("RAY_worker_niceness", raising=False)
    waits, init = iter(["0", "120", "120"]), ray.init

    def start(**options: Any) -> None:
        monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", next(waits))
        init(**options)

    monkeypatch.setattr(ray, "init", start)
    before = psutil.Process().children()
    with running_ray(None):
        assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)
    left = set(psutil.Process().children()) - set(before)
    assert "gcs_server" in [process.name() for process in left]
    for process in left:
        process.kill()
        process.wait()


def test_without_servers_it_stops_and_writes_no_row(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batches.write_clips(tmp_path / "clips", 2)
    command = ["batch", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--url", NOBODY]
    command += ["--patience-s", "1", "--workers", "1", "--ray-address", cluster.address]
    assert main(command) == ServerUnavailableError.exit_code
    assert "rows of 0 of 2 clips; the same command goes on" in capsys.readouterr().err
    assert batches.rows(tmp_path / "out") == []
