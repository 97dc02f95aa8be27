"""What columns on a device have in common: the device is busy before they are timed, and they tell their memory."""

import math
import time
from abc import abstractmethod
from collections.abc import Mapping

from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner

from bench.shapes import feeds
from bench.subjects import Logits

# A GPU at rest lowers its clocks; before a turn it is kept busy for so long
WARM_SECONDS = 0.05
# After a shorter rest the clocks are still up
REST_SECONDS = 0.005
# torch.compile compiles in its first run, captures a CUDA graph in its second and replays it from then on
WARM_RUNS = 3


class GpuRunner(Runner):
    """An opened column; the clock is the wall's, unless a subclass has a better one."""

    free_bytes: int | None = None
    """Of the device, before the column was opened; the opener says it."""
    _used: float = -math.inf

    @abstractmethod
    def take(self, ids: Ids, mask: Ids) -> None:
        """Take the batch that the next runs answer, and let go of memory that only earlier shapes needed."""

    @abstractmethod
    def logits(self) -> Logits:
        """What the last run answered, (batch, labels)."""

    def allocated_bytes(self) -> int | None:
        """The most memory that tensors took since `take`, as torch counts it; None where that is not known."""
        return None

    def clock(self, runs: int) -> tuple[float, ...]:
        """Seconds of each of `runs` runs, one after the other, each waited for."""
        return super().seconds(runs)

    def feed(self, shape: Shape) -> None:
        self._used = -math.inf
        self.take(*feeds(shape))

    def seconds(self, runs: int) -> tuple[float, ...]:
        if time.perf_counter() - self._used > REST_SECONDS:
            self._keep_busy()
        taken = self.clock(runs)
        self._used = time.perf_counter()
        return taken

    def facts(self) -> Mapping[str, Json]:
        return {
            "logits": self.logits().tolist(),
            "device_bytes": None if self.free_bytes is None else self.free_bytes - free_bytes(),
            "allocated_bytes": self.allocated_bytes(),
        }

    def _keep_busy(self) -> None:
        end = time.perf_counter() + WARM_SECONDS
        done = 0
        while done < WARM_RUNS or time.perf_counter() < end:
            self.clock(1)
            done += 1


def free_bytes() -> int:
    """Memory of the device that nobody holds."""
    import torch

    return int(torch.cuda.mem_get_info()[0])
