"""Traces, request ids, logs and metrics of a real server, and what is made of them."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launching import PROJECT, SERVER_PYTHON, Launched, input_tensors, launched
from tests.requiring import require
from tests.trace_receiver import Receiver, receiving
from vemoclap_client import AsyncEmotionClient, EmotionClient
from vemoclap_client.contract import ENSEMBLE, JPEG_FRAMES, MODALITIES, STREAM
from vemoclap_client.errors import InferenceError
from vemoclap_client.tracing import requests_named

pytestmark = pytest.mark.xdist_group("observation")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def observed(
    receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launched]:
    """A server that sends its traces and writes its log as JSON."""
    require(SERVER_PYTHON, "setup")
    require(PROJECT / "model_repository" / "fusion" / "1" / "model.onnx", "export")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret-of-the-receiver")
        environment.setenv("VEMOCLAP_LOG_FORMAT", "json")
        folder = tmp_path_factory.mktemp("observed")
        with launched(folder) as running:
            yield running
