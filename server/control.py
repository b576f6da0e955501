"""The launcher's connection to Triton: is it live, load these models, does it answer requests."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferenceServerException
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.address import Address
from server.errors import ModelLoadError, UsageError
from server.limits import is_entry
from vemoclap_client.channels import name_options
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import CertificateError, ServerError
from vemoclap_client.requests import build_inference
from vemoclap_client.server_errors import server_error

CONCURRENT_LOADS = 4
LIVE_TIMEOUT_S = 5.0
UNLOAD_TIMEOUT_S = 10.0
"""Triton answers at once, and unloads the model when its last request has ended."""
CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # The server is on this machine.
    # A starting server is polled.
    ("grpc.initial_reconnect_backoff_ms", 50),
    # gRPC uses it as the longest time that one attempt may take.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 200),
    # The reason why a model does not load comes in a header, and may be a long traceback.
    ("grpc.max_metadata_size", 2**20),
)
TIMEOUT_STATUS = "StatusCode.DEADLINE_EXCEEDED"
UNAVAILABLE_STATUS = "StatusCode.UNAVAILABLE"


class ModelControl:
    """A connection to Triton's model-repository protocol, which is closed to all others."""

    KEY = "vemoclap-launcher"
    """Of the header that opens the protocol."""

    def __init__(
        self, address: Address, credentials: Credentials, token: str, timeout_s: float
    ) -> None:
        """Connects to the gRPC endpoint.

        Args:
            address: where it listens.
            credentials: with which it may be called.
            token: opens the protocol.
            timeout_s: everything must be done in that time.
        """
        self._url = address.grpc_url
        self._is_encrypted = credentials != Credentials()
        self._client = InferenceServerClient(
            self._url,
            creds=credentials.to_grpc(),
            channel_args=[*CHANNEL_OPTIONS, *name_options(self._url, credentials)],
        )
        self._headers = {f"triton-grpc-protocol-{self.KEY}": token}
        self._start_clock(timeout_s)

    def _start_clock(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def remaining_s(self) -> float:
        """Seconds until the time for starting is up; negative after."""
        return self._deadline - time.monotonic()

    def is_live(self) -> bool:
        """Whether the gRPC endpoint answers.

        Raises:
            UsageError: there is no encrypted connection to it.
        """
        try:
            return bool(self._client.is_server_live(client_timeout=LIVE_TIMEOUT_S))
        except InferenceServerException as failure:
            error = server_error(failure, self._url, LIVE_TIMEOUT_S, connected=False)
            if self._is_encrypted and isinstance(error, CertificateError):
                raise UsageError(f"the launcher cannot connect to Triton: {error}") from failure
            return False

    def successes(self, models: Collection[str]) -> int | None:
        """How many requests these models have answered so far; None if Triton does not say."""
        try:
            found = self._client.get_inference_statistics(client_timeout=LIVE_TIMEOUT_S)
        except InferenceServerException:
            return None
        counts: list[int] = [
            model.inference_stats.success.count
            for model in found.model_stats
            if model.name in models
        ]
        return sum(counts)

    def infer(
        self,
        model: str,
        tensors: Mapping[str, NDArray[Any]],
        on_end: Callable[[ServerError | None], None],
    ) -> None:
        """Sends a request, and returns; `on_end` is called with its error or None."""

        def finish(result: object, error: InferenceServerException | None) -> None:
            on_end(server_error(error, self._url, 0, connected=True) if error else None)

        self._client.async_infer(callback=finish, **build_inference(model, tensors, ()))

    def load(self, configs: Mapping[str, ModelConfig]) -> None:
        """Loads every slot once: the slots of an ensemble's steps come with the ensemble.

        Ensembles that share steps are loaded one after the other: two at once fail.

        The entries, which call them, are loaded last, so that they are ready only when all is.

        Args:
            configs: slot -> its configuration.

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
        # An ensemble that is a step of another comes with that.
        ensembles = [name for name in ensembles if name not in steps]
        entries = [name for name, config in configs.items() if is_entry(config)]
        others = [name for name in configs if name not in {*ensembles, *steps, *entries}]
        with ThreadPoolExecutor(CONCURRENT_LOADS) as pool:
            failures = [
                failure
                for names in (others, *([name] for name in ensembles), entries)
                for failure in pool.map(self._load, names)
                if failure
            ]
        if failures:
            raise ModelLoadError("not every model could be loaded:\n" + "\n".join(failures))

    def reload(self, slots: Collection[str], timeout_s: float) -> None:
        """Loads slots anew, in new processes; ensembles with them are not ready meanwhile.

        Raises:
            ModelLoadError: names every slot that did not load, and why.
        """
        self._start_clock(timeout_s)
        failures = [failure for slot in slots if (failure := self._unload(slot))]
        failures = failures or [failure for slot in slots if (failure := self._load(slot))]
        if failures:
            raise ModelLoadError("not every model could be loaded again:\n" + "\n".join(failures))

    def _unload(self, slot: str) -> str | None:
        """The reason why the slot could not be unloaded, or None."""
        try:
            self._client.unload_model(slot, headers=self._headers, client_timeout=UNLOAD_TIMEOUT_S)
        except InferenceServerException as error:
            return f"  {slot}: {error.message()}"
        return None

    def _load(self, slot: str) -> str | None:
        """The reason why the slot did not load, or None."""
        timeout_s = max(self.remaining_s(), 1)
        try:
            self._client.load_model(slot, headers=self._headers, client_timeout=timeout_s)
        except InferenceServerException as error:
            if error.status() == TIMEOUT_STATUS:
                return f"  {slot}: not ready within {self._timeout_s:.0f} s"
            if error.status() == UNAVAILABLE_STATUS:
                return f"  {slot}: Triton closed the connection ({error.message()})"
            return f"  {slot}: {error.message()}"
        return None
