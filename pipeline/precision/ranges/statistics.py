"""What one activation held on the calibration data, gathered batch by batch."""

import numpy as np
import numpy.typing as npt

from pipeline.errors import StageError
from pipeline.precision.ranges.histogram import Histogram


class Statistics:
    """The extremes of one activation, the largest magnitude of each channel and, if asked for, a histogram."""

    def __init__(self, name: str, *, histogram: bool) -> None:
        self.name = name
        """The name of the value in the graph."""
        self.low = 0.0
        """The lowest value; zero where none was negative."""
        self.high = 0.0
        """The highest value; zero where none was positive."""
        self.histogram = Histogram() if histogram else None
        """How often values occurred, for the methods that clip."""
        self._channels: npt.NDArray[np.float32] | None = None

    def add(self, values_NC: npt.NDArray[np.float32]) -> None:
        """Add N rows of C channels. Raises StageError for NaN or infinity."""
        if not values_NC.size:
            return
        low_C, high_C = values_NC.min(axis=0), values_NC.max(axis=0)
        low, high = float(low_C.min()), float(high_C.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise StageError(
                "quantize",
                f"on the calibration data {self.name} holds NaN or infinity",
                hint="look for broken weights, or for calibration data that is not text for this model",
            )
        largest_C = np.maximum(np.abs(low_C), np.abs(high_C))
        self._channels = largest_C if self._channels is None else np.maximum(self._channels, largest_C)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.histogram is not None:
            self.histogram.add(values_NC, max(-low, high))

    @property
    def channels(self) -> npt.NDArray[np.float32]:
        """The largest magnitude of each channel, (C,). Raises StageError where no value was added."""
        self.require_values()
        assert self._channels is not None
        return self._channels

    @property
    def largest(self) -> float:
        """The largest magnitude of all."""
        return max(-self.low, self.high)

    def require_values(self) -> None:
        """Raise StageError where no value was added."""
        if self._channels is None:
            raise StageError(
                "quantize",
                f"the calibration data gave no value for {self.name}",
                hint="give at least one text that fits the model: --calibration texts.jsonl",
            )
