"""The launcher's use of Triton's model control: is the server live, load these models."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tritonclient.grpc import InferenceServerClient, InferenceServerException
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.address import Address
from server.errors import ModelLoadError, UsageError
from server.limits import is_entry
from vemoclap_client.channels import name_options
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import CertificateError
from vemoclap_client.server_errors import server_error

CONCURRENT_LOADS = 4
LIVE_TIMEOUT_S = 5.0
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

    def _load(self, slot: str) -> str | None:
        """The reason why the slot did not load, or None."""
        timeout_s = max(self.remaining_s(), 1)
        try:
            self._client.load_model(slot, headers=self._headers, client_timeout=timeout_s)
        except InferenceServerException as error:
            if error.status() == TIMEOUT_STATUS:
                return f"  {slot}: not ready in time (--startup-timeout-s)"
            if error.status() == UNAVAILABLE_STATUS:
                return f"  {slot}: Triton closed the connection ({error.message()})"
            return f"  {slot}: {error.message()}"
        return None
