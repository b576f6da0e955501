"""Slot `screen_reader`: the same networks for reading as in the `embedded` profile.

VEMOCLAP reads with PaddleOCR, later Surya; here RapidOCR runs PaddleOCR's networks (PP-OCR,
Apache-2.0), which come inside a package and so need no hub.
"""

from dataclasses import replace

from export.slots import screen_reader

SLOT = replace(screen_reader.SLOT, module=__name__)
