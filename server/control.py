"""Talks to a starting Triton over HTTP: is it there, load this model."""

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.address import Address
from server.errors import ModelLoadError

CONCURRENT_LOADS = 4
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxy that the environment may name: the server is on this machine."""


class Control:
    """The launcher's side of Triton's model-repository API, which is closed to all others."""

    HEADER = "vemoclap-launcher"

    def __init__(self, address: Address, token: str, timeout_s: float) -> None:
        """Prepares requests to the server at `address`, all of them within `timeout_s`."""
        self._base = f"http://{address.host}:{address.http_port}/v2"
        self._headers = {self.HEADER: token}
        self._deadline = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Seconds until the time for starting is up; negative after."""
        return self._deadline - time.monotonic()

    def is_live(self) -> bool:
        """Whether the HTTP endpoint answers."""
        try:
            with OPENER.open(f"{self._base}/health/live", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def load(self, configs: dict[str, ModelConfig]) -> None:
        """Loads every slot once: an ensemble's steps come with the ensemble.

        Loaded by itself first, a Python step would be loaded a second time with the ensemble:
        the bytecode that its first load writes beside it makes Triton take it for changed.

        A model that runs the ensemble's steps is loaded last, so that it is ready when they are.

        Raises:
            ModelLoadError: names every slot that did not load, and why.
        """
        ensembles = [name for name, config in configs.items() if config.platform == "ensemble"]
        steps = {
            step.model_name
            for name in ensembles
            for step in configs[name].ensemble_scheduling.step
            if step.model_name in configs
        }
        streams = [
            name for name, config in configs.items() if config.model_transaction_policy.decoupled
        ]
        others = [name for name in configs if name not in {*ensembles, *steps, *streams}]
        with ThreadPoolExecutor(CONCURRENT_LOADS) as pool:
            failures = [
                failure
                for names in (others, ensembles, streams)
                for failure in pool.map(self._load, names)
                if failure
            ]
        if failures:
            raise ModelLoadError("not every model could be loaded:\n" + "\n".join(failures))

    def _load(self, slot: str) -> str | None:
        """The reason why the slot did not load, or None."""
        request = urllib.request.Request(
            f"{self._base}/repository/models/{slot}/load",
            data=b"{}",
            headers=self._headers,
            method="POST",
        )
        try:
            OPENER.open(request, timeout=max(self.remaining_s(), 1)).close()
        except urllib.error.HTTPError as error:
            return f"  {slot}: {json.loads(error.read())['error']}"
        except TimeoutError:
            return f"  {slot}: not ready in time (--startup-timeout-s)"
        except OSError as error:
            return f"  {slot}: Triton broke off ({error})"
        return None
