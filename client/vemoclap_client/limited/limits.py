"""What decoding one file may cost, and the errors of what costs more."""

from dataclasses import dataclass
from pathlib import Path

from vemoclap_client.errors import DecodingLimitError

BYTES_PER_MB = 1_000_000
REMEDY = "Cut the part that matters out of it, or convert it, for example to MP4 with H.264."


@dataclass(frozen=True)
class DecodingLimits:
    """What decoding one file may cost.

    Attributes:
        processor_s: whole seconds of processor time, all threads together.
        wait_s: longest time that its result is waited for, in seconds. The time in which a
            timeline's next part is not asked for does not count.
        memory_bytes: that decoding may allocate, beside what the process begins with.
    """

    processor_s: int = 600
    wait_s: float = 1800.0
    memory_bytes: int = 1500 * BYTES_PER_MB

    def over_processor_time(self, path: Path) -> DecodingLimitError:
        """The error of a file that needs more."""
        return DecodingLimitError(
            f"{path}: the file needs more than {self.processor_s} s of processor time to decode. "
            f"{REMEDY}"
        )

    def over_wait(self, path: Path) -> DecodingLimitError:
        """The error of a file that needs more."""
        return DecodingLimitError(
            f"{path}: the file needs more than {self.wait_s:g} s to decode. {REMEDY}"
        )

    def over_memory(self, path: Path) -> DecodingLimitError:
        """The error of a file that needs more."""
        megabytes = self.memory_bytes // BYTES_PER_MB
        return DecodingLimitError(
            f"{path}: the file needs more than {megabytes} MB of memory to decode. {REMEDY}"
        )
