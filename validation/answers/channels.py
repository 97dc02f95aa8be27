"""What varies in an output, channel by channel, and how far a variant is off in each."""

from dataclasses import dataclass

import numpy as np
import torch

from validation.statistics.metrics import Array

NOT_CHANNELS = frozenset({"batch", "sequence", "choices"})
"""Axes over which values are repeated measurements; every other axis of an output counts its channels."""
SMALL = 0.01
"""An output in which no magnitude reaches this has units of its own, such as a regression on small numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Statistics of R rows of C channels: of eager PyTorch's values, and of the differences from them.

    An output has many channels whose mean differs from one to the next. What is constant over the texts carries no
    information, so the spread of an output is taken around the mean of each channel: one channel that is always large
    would otherwise make every difference look small.
    """

    rows: int
    """How many rows were compared."""
    means: Array
    """The mean of eager PyTorch's values in each channel, (C,)."""
    squares: Array
    """The sum of their squared deviations from that mean, (C,)."""
    largest: Array
    """Their largest magnitude, (C,)."""
    errors: Array
    """The largest absolute difference, (C,)."""

    @classmethod
    def of(cls, eager: torch.Tensor, differences: torch.Tensor, axes: tuple[str, ...]) -> "Channels":
        """The statistics of one batch; both arrays have the axes `axes`, or rows in place of all but the last."""
        channels = eager.shape[-1] if axes[-1] not in NOT_CHANNELS else 1
        eager_RC, differences_RC = eager.reshape(-1, channels), differences.reshape(-1, channels)
        variances_C, means_C = torch.var_mean(eager_RC, dim=0, correction=0)
        return cls(
            rows=len(eager_RC),
            means=_array(means_C),
            squares=len(eager_RC) * _array(variances_C),
            largest=_array(torch.linalg.vector_norm(eager_RC, ord=torch.inf, dim=0)),
            errors=_array(differences_RC.amax(dim=0)),
        )

    def with_more(self, more: "Channels") -> "Channels":
        """The statistics of both batches together, by the pairwise update of Chan, Golub and LeVeque (1983)."""
        rows = self.rows + more.rows
        shift_C = more.means - self.means
        return Channels(
            rows=rows,
            means=self.means + shift_C * (more.rows / rows),
            squares=self.squares + more.squares + shift_C**2 * (self.rows * more.rows / rows),
            largest=np.maximum(self.largest, more.largest),
            errors=np.maximum(self.errors, more.errors),
        )

    @property
    def spread(self) -> float:
        """The standard deviation of eager PyTorch's values around the means of their channels."""
        return float(np.sqrt(self.squares.sum() / (self.rows * len(self.squares))))

    @property
    def scaled_error(self) -> float:
        """The largest difference, in channels with values beyond 1 divided by the largest magnitude there.

        Where the whole output stays below SMALL, it is multiplied by what scales the largest magnitude up to that:
        beside such an output, an error that is usual elsewhere is no small one.
        """
        largest = float(self.largest.max())
        small = SMALL / largest if 0 < largest < SMALL else 1.0
        return small * float((self.errors / np.maximum(1.0, self.largest)).max())


def _array(values: torch.Tensor) -> Array:
    return values.numpy().astype(np.float64)
