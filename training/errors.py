"""What can go wrong with training data, as types. Each has the exit code that it ends with.

ExportError
├── LabelError               the labels cannot be learned from: a class is empty, there is only one
├── StoreError               a feature store cannot be read, or was written by another version
├── FeatureError             a clip's features are not numbers, or not as wide as they must be
├── ProfileMismatchError     features of one profile meet a head of another, or other encoders
├── UnsafeFileError          a pickle holds more than arrays and plain containers
├── TrainingError            a training cannot start or go on in this folder, or on this device
├── OtherDataError           a head is to be scored on data that it was not trained with
└── DataSetError             a file of Ekman-6 is missing, or is not what it should be
"""

from export.errors import ExportError


class LabelError(ExportError):
    """The labels cannot be learned from: a class is empty, unknown, or the only one."""

    exit_code = 52


class StoreError(ExportError):
    """A feature store cannot be read: it is missing, damaged, unfinished, of another version."""

    exit_code = 53


class FeatureError(ExportError):
    """A clip's features hold what is no number, or are not as wide as they must be."""

    exit_code = 54


class ProfileMismatchError(ExportError):
    """Features of one profile meet a head of another, or features of other encoders."""

    exit_code = 55


class UnsafeFileError(ExportError):
    """A pickle holds more than arrays and plain containers: loading it could run code."""

    exit_code = 56


class TrainingError(ExportError):
    """A training cannot start or go on: another one is in its folder, or there is no device."""

    exit_code = 57


class OtherDataError(ExportError):
    """A head is to be scored on another store: it may have been trained on its test clips."""

    exit_code = 58


class DataSetError(ExportError):
    """A file of Ekman-6 has not been downloaded, or more than one could be it."""

    exit_code = 59
