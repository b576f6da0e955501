"""The columns of a clip's row."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vemoclap_client.contract import EMOTIONS, MODALITIES
from vemoclap_client.documents import as_text
from vemoclap_client.errors import VemoclapError
from vemoclap_client.result import EmotionResult

SCHEMA_VERSION = "1.0"
"""Of the columns. A newer minor release adds some; a major one renames or removes some."""

VIDEO = "video"
METADATA = b"vemoclap"
"""Key of the Parquet files' metadata: a JSON object with schema_version and what was asked for."""

NUMBER = pa.field("number", pa.int64())
"""Which clip of the listing a row is of; only between the processes."""

STOPS = pa.field("stops", pa.bool_())
"""Whether the row's error is to end the batch; only between the processes."""

USER = re.compile(r"(\w://)[^/?#]*@")
"""The name and password in a URL, which no row and no message shows."""

Features = Mapping[str, NDArray[np.float32]]
"""Modality -> [rows, width]."""


def without_user(source: str) -> str:
    """A path or URL as rows show it: as text, without a user's name and password."""
    return USER.sub(r"\1", as_text(source))


def result_fields(features: bool) -> list[pa.Field]:
    """The columns that a classification fills, in order; see docs/batch.md."""
    texts = pa.list_(pa.string())
    return [
        pa.field("emotion", pa.string()),
        *(pa.field(f"probability_{emotion}", pa.float32()) for emotion in EMOTIONS),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("profile", pa.string()),
        pa.field("head", pa.string()),
        pa.field("duration_s", pa.float64()),
        pa.field("transcript", pa.string()),
        pa.field("language", pa.string()),
        pa.field("screen_text", pa.string()),
        pa.field("absent", texts),
        pa.field("warnings", texts),
        pa.field("decode_ms", pa.float64()),
        pa.field("request_ms", pa.float64()),
        pa.field("result", pa.string()),
        pa.field("exit_code", pa.int32()),
        pa.field("error_type", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("schema_version", pa.string()),
        *(_feature_fields() if features else ()),
    ]


def _feature_fields() -> list[pa.Field]:
    """Each modality's rows of numbers, of which there are none where it is absent."""
    rows_of_numbers = pa.list_(pa.list_(pa.float32()))
    each = [pa.field(f"{modality}_features", rows_of_numbers) for modality in MODALITIES]
    return [pa.field("feature_widths", pa.list_(pa.int32())), *each]


def store_schema(carried: pa.Schema, features: bool, settings: Mapping[str, Any]) -> pa.Schema:
    """The schema of a batch's files, as it is read from them.

    Args:
        carried: the input's own columns, without `video`.
        features: whether there are columns of features.
        settings: what was asked for that changes results; rows of others never go into one folder.
    """
    fields = [pa.field(VIDEO, pa.string()), *result_fields(features), *carried]
    about = json.dumps({"schema_version": SCHEMA_VERSION, **settings}, sort_keys=True)
    # Parquet has fewer types than a table: seconds, for one, come back as milliseconds.
    file = pa.BufferOutputStream()
    pq.write_table(pa.schema(fields, metadata={METADATA: about.encode()}).empty_table(), file)
    return pq.read_schema(pa.BufferReader(file.getvalue()))


def result_row(result: EmotionResult, features: Features | None = None) -> dict[str, Any]:
    """Column -> value, of a clip that was classified."""
    speech, text = result.speech, result.screen_text
    return {
        "emotion": result.emotion,
        **{f"probability_{name}": value for name, value in result.probabilities.items()},
        "valence": result.valence,
        "arousal": result.arousal,
        "profile": result.profile,
        "head": str(result.head),
        "duration_s": result.duration_s,
        "transcript": speech.text if speech else None,
        "language": speech.language if speech else None,
        "screen_text": text.text if text else None,
        "absent": sorted(result.absent),
        "warnings": list(result.warnings),
        "decode_ms": result.timings_ms.get("decode"),
        "request_ms": result.timings_ms.get("request"),
        "result": msgspec.json.encode(result.to_dict()).decode(),
        "exit_code": 0,
        "schema_version": SCHEMA_VERSION,
        **(_feature_values(features) if features else {}),
    }


def _feature_values(features: Features) -> dict[str, Any]:
    widths = [features[modality].shape[1] for modality in MODALITIES]
    rows = {f"{modality}_features": list(features[modality]) for modality in MODALITIES}
    return {"feature_widths": widths, **rows}


def error_row(error: Exception) -> dict[str, Any]:
    """Column -> value, of a clip that could not be classified, without a user in any URL."""
    kind = type(error) if isinstance(error, VemoclapError) else VemoclapError
    return {
        "exit_code": kind.exit_code,
        "error_type": type(error).__name__,
        "error_message": USER.sub(r"\1", str(error)).encode(errors="backslashreplace").decode(),
        "schema_version": SCHEMA_VERSION,
    }
