"""What subjects on a GPU have in common: the device is busy before they are timed, and they report their memory."""

import math
import time
from abc import abstractmethod
from collections.abc import Mapping

from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner

from bench.contest.base_subject import Logits
from bench.models.shapes import feeds

# A GPU at rest lowers its clocks, so it is kept busy this long before a turn
WARM_SECONDS = 0.05
# The clocks are still up after a rest that is shorter than this
REST_SECONDS = 0.005
# torch.compile compiles in its first run, captures a CUDA graph in its second, and replays it from then on
WARM_RUNS = 3


class GpuRunner(Runner):
    """An opened subject on a GPU. Its clock is wall time: a run ends when the device has done its work."""

    free_bytes: int | None = None
    """Free bytes of the device before the subject was opened; the opener sets it."""
    _used: float = -math.inf

    @abstractmethod
    def take(self, ids: Ids, mask: Ids) -> None:
        """Take the batch that the next runs answer, and free memory that only earlier shapes needed."""

    @abstractmethod
    def logits(self) -> Logits:
        """The answer of the last run, (batch, labels)."""

    def allocated_bytes(self) -> int | None:
        """The peak of bytes in tensors since `take`, as PyTorch counts them; None if that is not known."""
        return None

    def feed(self, shape: Shape) -> None:
        self._used = -math.inf
        self.take(*feeds(shape))

    def seconds(self, runs: int) -> tuple[float, ...]:
        if time.perf_counter() - self._used > REST_SECONDS:
            self._keep_busy()
        seconds = super().seconds(runs)
        self._used = time.perf_counter()
        return seconds

    def facts(self) -> Mapping[str, Json]:
        return {
            "logits": self.logits().tolist(),
            "device_bytes": None if self.free_bytes is None else self.free_bytes - free_bytes(),
            "allocated_bytes": self.allocated_bytes(),
        }

    def _keep_busy(self) -> None:
        end = time.perf_counter() + WARM_SECONDS
        runs = 0
        while runs < WARM_RUNS or time.perf_counter() < end:
            self.run()
            runs += 1


def free_bytes() -> int:
    """Free bytes of the device."""
    import torch

    return int(torch.cuda.mem_get_info()[0])
