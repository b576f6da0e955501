"""A result or a timeline as its published JSON."""

import json

from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline


def format_json(result: EmotionResult | Timeline) -> str:
    """The JSON of schemas/, indented, not escaped, with a newline at its end."""
    return json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"
