"""What breaks of a server under load is restarted, and no request hangs meanwhile."""

import json
import signal
import time
from pathlib import Path

from tests.faults import TRITON, Load, clip_request, processes, small_request
from tests.launching import Launched, launched, wait_until

BACK_WITHIN_S = 15.0


def ready_now(folder: Path, server: Launched) -> Launched:
    """The server as its ready-file says it is by now."""
    ready_file = folder / "ready.json"
    wait_until(lambda: ready_file.exists() or server.launcher.poll() is not None)
    return Launched(server.launcher, json.loads(ready_file.read_text()))


def break_one(load: Load, folder: Path, name: str, how: signal.Signals) -> tuple[float, str]:
    """Sends a signal to a process of the server; returns the recovery, and a line about it."""
    before = ready_now(folder, load.server)
    broken_s = time.monotonic()
    processes(before.triton_pid)[name].send_signal(how)
    recovery_s = load.recovery_s(broken_s)
    after = ready_now(folder, load.server)
    alone = after.triton_pid == before.triton_pid
    what = "slot alone" if alone else "whole server"
    errors = dict(load.errors(broken_s))
    return recovery_s, f"{how.name} {name}: {recovery_s:.1f} s, {what}, errors {errors}"


def test_a_broken_slot_is_restarted_alone_and_a_broken_triton_with_all(
    samples: Path, tmp_path: Path
) -> None:
    arguments = ["--probe-interval-s", "2", "--health-file", tmp_path / "health.json"]
    requests = [small_request(), clip_request(samples / "title_card.mp4")]
    with launched(tmp_path, arguments) as server, Load(server, requests) as load:
        load.recovery_s(0)
        pid = server.triton_pid
        for name, how in (("image_encoder_0_0", signal.SIGKILL), ("fusion_0_0", signal.SIGSTOP)):
            print(break_one(load, tmp_path, name, how)[1])
            assert ready_now(tmp_path, server).triton_pid == pid
        for name in ("vemoclap_stream_0_0", TRITON):
            print(break_one(load, tmp_path, name, signal.SIGSTOP)[1])
            assert pid != (pid := ready_now(tmp_path, server).triton_pid)
        assert server.stop() == 0
    assert not (tmp_path / "health.json").exists()
