"""What may wait for ever is left alone."""

import threading

import pytest

from vemoclap_client import EmotionClient, client


class Stuck:
    """As a channel of gRPC's with a call that will never end."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def close(self) -> None:
        self.ended.wait()


def test_a_client_closes_though_grpc_waits_for_a_call_that_was_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT_S", 0.05)
    stuck = Stuck()
    with EmotionClient("127.0.0.1:1") as closed:
        vars(closed)["_triton"] = stuck
    assert not stuck.ended.is_set()
    stuck.ended.set()
