"""A histogram that one pass over the data fills, batch by batch."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# Over twice the largest magnitude, so a bin is at most 1/64 of one of 256 levels of the whole range.
BINS = 2 * 16384
# Smaller values are all near 0, and the number of bins over a smaller bound is more than float32 holds.
_LEAST_BOUND = 2.0**-100
# Values of a batch that are counted, spread over all of them.
SAMPLED_VALUES = 1 << 18

Floats = npt.NDArray[np.float64]


def _no_counts() -> npt.NDArray[np.int64]:
    return np.zeros(BINS, dtype=np.int64)


@dataclass(slots=True, kw_only=True)
class Histogram:
    """Counts of values in equal bins from -bound to bound.

    When a larger value comes, the bound doubles and neighbouring bins merge. The result depends on the data alone, not
    on how it was divided into batches.
    """

    counts: npt.NDArray[np.int64] = field(default_factory=_no_counts)
    """Values in each bin, the lowest bin first."""
    bound: float = 0.0
    """A power of two that no value exceeds; 0 where all values were zero."""

    @property
    def edges(self) -> Floats:
        """The ends of the bins, one more than there are bins."""
        return np.linspace(-self.bound, self.bound, len(self.counts) + 1)

    def add(self, values: npt.NDArray[np.float32], largest: float) -> None:
        """Count `values`, whose largest magnitude is `largest`."""
        if self.bound == 0.0:
            if largest == 0.0:
                self.counts[BINS // 2] += values.size
                return
            self.bound = max(float(2.0 ** np.ceil(np.log2(largest))), _LEAST_BOUND)
        while largest > self.bound:
            self._double()
        half = BINS // 2
        # An odd step shares no factor with the width of a layer, so that no channel is left out every time.
        step = -(-values.size // SAMPLED_VALUES) | 1
        places = np.floor(values.ravel()[::step] * np.float32(half / self.bound))
        places += half
        np.clip(places, 0, BINS - 1, out=places)
        self.counts += np.bincount(places.astype(np.int32), minlength=BINS)

    def middles(self, merged: int) -> tuple[Floats, Floats]:
        """The middles and the counts of bins that are not empty, after merging each `merged` neighbours."""
        counts = self.counts.reshape(-1, merged).sum(axis=1)
        width = 2.0 * self.bound / len(counts)
        filled = np.flatnonzero(counts)
        middles = ((filled + 0.5) * width - self.bound).astype(np.float64)
        return middles, counts[filled].astype(np.float64)

    def _double(self) -> None:
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.pad(pairs, BINS // 4)
        self.bound *= 2.0
