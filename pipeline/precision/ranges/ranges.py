"""Statistics of one activation, gathered batch by batch, and the range that a calibration method makes of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError
from pipeline.precision.ranges.entropy import entropy_range
from pipeline.precision.smoothing.least_squares import least_squares_bound, least_squares_range
from pipeline.recipe.plan import CALIBRATIONS
from pipeline.registry import unknown

LEVELS = 255
"""Steps between the lowest and the highest unsigned 8-bit number."""
SIGNED_LEVELS = 254
"""Steps between -127 and 127: -128 is left out, so that a value and its negative are equally exact."""

# Share of the values that percentile calibration keeps inside the range.
PERCENTILE = 0.9999
# Over twice the largest magnitude, so a step is at most 1/64 of one of 256 levels of the whole range.
BINS = 2 * 16384
# Values of a batch that a histogram counts, spread over all of them; extremes are taken over every value.
SAMPLED = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and highest value an 8-bit number stands for; zero lies between and is exact.

    Numbers are unsigned, or signed and then symmetric: the range goes as far below zero as above.
    """

    low: float
    high: float
    signed: bool = False

    def symmetric(self) -> "Range":
        """The signed range that holds all of this one."""
        largest = max(-self.low, self.high)
        return Range(low=-largest, high=largest, signed=True)

    @property
    def scale(self) -> np.float32:
        """The step between two neighbouring numbers; 1 where the range is empty."""
        step = np.float32((self.high - self.low) / (SIGNED_LEVELS if self.signed else LEVELS))
        return step if step >= np.finfo(np.float32).tiny else np.float32(1)

    @property
    def dtype(self) -> onnx_ir.DataType:
        """The type of the numbers."""
        return onnx_ir.DataType.INT8 if self.signed else onnx_ir.DataType.UINT8

    @property
    def zero_point(self) -> np.uint8 | np.int8:
        """The number that stands for zero."""
        if self.signed:
            return np.int8(0)
        return np.uint8(np.clip(np.rint(-self.low / float(self.scale)), 0, LEVELS))


class Statistics:
    """What one activation held: its extremes, the largest magnitude of each channel and, if asked for, a histogram.

    The histogram covers twice a power of two, and doubles by merging neighbouring bins when a larger value comes, so
    one pass over the data is enough and its result depends on nothing but the data.
    """

    def __init__(self, name: str, *, histogram: bool) -> None:
        self.name = name
        self.low = 0.0
        self.high = 0.0
        self.channels: npt.NDArray[np.float32] | None = None
        self.counts: npt.NDArray[np.int64] | None = None
        self.bound = 0.0
        self._wants_histogram = histogram

    def add(self, values_NC: npt.NDArray[np.float32]) -> None:
        """Add N rows of C channels; StageError for NaN or infinity."""
        if not values_NC.size:
            return
        low_C, high_C = values_NC.min(axis=0), values_NC.max(axis=0)
        low, high = float(low_C.min()), float(high_C.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise StageError(
                "quantize",
                f"on the calibration data {self.name} holds NaN or infinity",
                hint="look for broken weights, or for calibration data that is no text of this model",
            )
        largest_C = np.maximum(np.abs(low_C), np.abs(high_C))
        self.channels = largest_C if self.channels is None else np.maximum(self.channels, largest_C)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self._wants_histogram:
            self._count(values_NC, max(-low, high))

    def range(self, method: str, *, signed: bool = False) -> Range:
        """The range by "minmax", "percentile", "entropy" or "mse"; zero is always inside.

        A signed one reaches to the farther of the ends that the method chooses; "mse" chooses for both at once.

        Raises UsageError for another method, StageError where no value was seen.
        """
        if method not in CALIBRATIONS:
            raise unknown("calibration", method, CALIBRATIONS)
        if self.channels is None:
            raise StageError(
                "quantize",
                f"the calibration data gave no value for {self.name}",
                hint="give at least one text that fits the model: --calibration texts.jsonl",
            )
        if signed and method == "mse" and self.counts is not None:
            largest = least_squares_bound(self.counts, self.bound, max(-self.low, self.high), SIGNED_LEVELS)
            return Range(low=-largest, high=largest, signed=True)
        found = self._range(method, self.counts)
        return found.symmetric() if signed else found

    def _range(self, method: str, counts: npt.NDArray[np.int64] | None) -> Range:
        if method == "minmax" or counts is None:
            return Range(low=self.low, high=self.high)
        if method == "percentile":
            return self._percentile(counts)
        if method == "mse":
            low, high = least_squares_range(counts, self.bound, self.low, self.high, LEVELS)
            return Range(low=low, high=high)
        low, high = entropy_range(counts, self.bound, self.low, self.high)
        return Range(low=low, high=high)

    def _count(self, values_NC: npt.NDArray[np.float32], largest: float) -> None:
        if self.counts is None:
            self.counts = np.zeros(BINS, dtype=np.int64)
        if self.bound == 0.0:
            if largest == 0.0:
                self.counts[BINS // 2] += values_NC.size
                return
            self.bound = float(2.0 ** np.ceil(np.log2(largest)))
        while largest > self.bound:
            self._double()
        half = BINS // 2
        # An odd step shares no factor with the width of a layer, so that no channel is left out every time.
        step = -(-values_NC.size // SAMPLED) | 1
        places = np.floor(values_NC.ravel()[::step] * np.float32(half / self.bound))
        places += half
        np.clip(places, 0, BINS - 1, out=places)
        self.counts += np.bincount(places.astype(np.int32), minlength=BINS)

    def _double(self) -> None:
        assert self.counts is not None
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.pad(pairs, BINS // 4)
        self.bound *= 2.0

    def _percentile(self, counts: npt.NDArray[np.int64]) -> Range:
        """The range that leaves out half of the excluded share at either end."""
        outside = (1.0 - PERCENTILE) / 2.0 * counts.sum()
        below = np.cumsum(counts)
        edges = np.linspace(-self.bound, self.bound, BINS + 1)
        low = edges[int(np.searchsorted(below, outside, side="right"))]
        high = edges[1 + int(np.searchsorted(below, counts.sum() - outside, side="left"))]
        return Range(low=min(0.0, max(self.low, float(low))), high=max(0.0, min(self.high, float(high))))
