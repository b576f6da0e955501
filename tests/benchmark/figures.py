"""What one measurement found: the numbers that the report is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SERVED, BASELINE, SEQUENTIAL, DIRECT, LIMIT = "served", "baseline", "sequential", "direct", "limit"
"""What is measured."""
CLIENT = "(client)"
"""Beside the slots: this process, which sends the requests."""
TRITON = "(triton)"
"""Beside the slots: Triton's own process."""


@dataclass(frozen=True)
class SlotLoad:
    """Triton's statistics of one slot during a measurement.

    Attributes:
        rows: items computed.
        batches: calls of the network, or of the Python code.
        requests: as Triton counts them: one for each call of the slot.
        queue_s: that the requests waited, added up.
        compute_s: that they were computed; of a slot that calls others, theirs included.
    """

    rows: int
    batches: int
    requests: int
    queue_s: float
    compute_s: float


@dataclass(frozen=True)
class Measurement:
    """So many clips, `in_flight` at a time, sent to one subject.

    Attributes:
        subject: one of the names above; "files" is served, decoding included.
        in_flight: clips at a time.
        seconds: from the first clip's start to the last one's end.
        latencies_s: of each clip.
        processor_s: user and system time, by slot, CLIENT and TRITON; of all clips together.
        slots: by name; empty where there is no server.
        decode_s: of all clips; 0 where they were decoded before.
        ensemble_s: of all clips, in the server.
        memory_mb: kind -> MB, see processes.memory_mb.
        emotions: clip -> the most probable emotion.
    """

    subject: str
    in_flight: int
    seconds: float
    latencies_s: tuple[float, ...]
    processor_s: Mapping[str, float]
    slots: Mapping[str, SlotLoad] = field(default_factory=dict)
    decode_s: float = 0.0
    ensemble_s: float = 0.0
    memory_mb: Mapping[str, float] = field(default_factory=dict)
    emotions: Mapping[str, str] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        """How many were sent."""
        return len(self.latencies_s)


@dataclass(frozen=True)
class Limit:
    """The seconds that one clip's networks need at their best batch size.

    Attributes:
        seconds: slot -> of a processor or of the GPU, a clip.
        batches: slot -> the rows of the best batch; 0: one clip at a time by the slot's library.
        devices: processors or GPUs that compute side by side.
    """

    seconds: Mapping[str, float]
    batches: Mapping[str, int]
    devices: int


@dataclass(frozen=True)
class Figures:
    """Everything that a run measured.

    Attributes:
        about: what was measured, where and when: key -> text.
        levels: the numbers of clips in flight.
        steps: the slots that the ensemble itself calls; the others are called by these.
    """

    about: Mapping[str, str]
    levels: tuple[int, ...]
    steps: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    limit: Limit | None = None
