"""Slot `screen_reader`: PP-OCR's three networks, for RapidOCR.

It is given them as Det.model_path, Rec.model_path and Cls.model_path.
"""

from export.spec import Builder, Slot

FOLDER = "1/ocr"

FILES = {
    f"{FOLDER}/detector.onnx": "ocr_detector",
    f"{FOLDER}/recognizer.onnx": "ocr_recognizer",
    f"{FOLDER}/direction.onnx": "ocr_direction",
}

SLOT = Slot(
    name="screen_reader",
    module=__name__,
    pretrained=Builder(files=FILES),
    # They come inside a package, from its registry: tests can have them too.
    random=Builder(files=FILES),
)
