"""A timeline as an annotation file of ELAN (.eaf, format 2.8).

Needs pympi-ling (extra `research`).
"""

import mimetypes
from pathlib import PurePath
from urllib.parse import quote

from pympi.Elan import Eaf, to_string

from vemoclap_client.fetch import is_link
from vemoclap_client.formats.tiers import make_tiers
from vemoclap_client.timeline import Timeline

TOP, WITHIN = "annotation", "within"
"""Types of tiers: one of its own, and one within the annotations of another."""

ANY_VIDEO = "video/*"


def format_eaf(timeline: Timeline) -> str:
    """The tiers of a timeline; the media file is looked for beside the .eaf, by its name."""
    first = timeline.windows[0]
    document = Eaf(author="vemoclap")
    document.add_linguistic_type(TOP)
    document.add_linguistic_type(WITHIN, "Included_In")
    document.remove_tier("default")
    document.remove_linguistic_type("default-lt")
    document.add_property("vemoclap", f"{first.profile} profile, head: {first.head}")
    if not is_link(timeline.video):
        name = PurePath(timeline.video).name
        beside = f"./{quote(name)}"
        document.add_linked_file(beside, beside, mimetypes.guess_type(name)[0] or ANY_VIDEO)
    for tier in make_tiers(timeline):
        document.add_tier(tier.name, WITHIN if tier.parent else TOP, tier.parent)
        for each in tier.annotations:
            document.add_annotation(tier.name, each.start_ms, each.end_ms, each.text)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{to_string(document)}'
