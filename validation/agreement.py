"""How far a variant's outputs differ from eager PyTorch's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from validation.batches import Bools, Feeds
from validation.errors import ArtifactError
from validation.report import Agreement
from validation.tasks.base import Floats

MOST_SAMPLED = 1 << 17
"""At most so many differences of one batch are kept for the percentile; of a smaller batch, all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The absolute differences of one output over one batch."""

    non_finite: int
    """How many of the variant's values are NaN or infinite."""
    largest: float = 0.0
    """The largest difference."""
    total: float = 0.0
    """The sum of the differences."""
    squared: float = 0.0
    """The sum of their squares."""
    eager_total: float = 0.0
    """The sum of eager PyTorch's values."""
    eager_squared: float = 0.0
    """The sum of their squares."""
    values: int = 0
    """How many values were compared."""
    sampled: Floats | None = None
    """The differences that are kept for the percentile; None where nothing was compared."""


def difference(
    eager: Floats,
    variant: Floats,
    feeds: Feeds,
    axes: tuple[str, ...],
    *,
    compared: bool = True,
    kept: Bools | None = None,
) -> Difference:
    """How far `variant` differs from `eager`: one output, with the axes named in `axes`, for one batch.

    In outputs with a token axis only unmasked tokens are compared, or those in `kept`. Nobody reads what stands at
    padding, and kernels that skip padding may leave any finite value there. `non_finite` counts over all values,
    padding included, because NaN there reaches every average that multiplies by the mask. With `compared` False
    nothing else is computed. Raises ArtifactError where the shapes differ.
    """
    if variant.shape != eager.shape:
        raise ArtifactError(
            f"an output with the axes {', '.join(axes)} has shape {variant.shape}; eager PyTorch's has {eager.shape}",
            hint="export the checkpoint again, with the head with which it is validated",
        )
    non_finite = 0 if is_finite(variant) else int((~np.isfinite(variant)).sum())
    if not compared:
        return Difference(non_finite=non_finite)
    expected, actual = torch.from_numpy(eager), torch.from_numpy(variant)
    counted = torch.from_numpy(feeds["attention_mask"] != 0 if kept is None else kept)
    if axes[: counted.ndim][-1] == "sequence" and not bool(counted.all()):
        expected, actual = expected[counted], actual[counted]
    if non_finite:
        finite = torch.isfinite(actual)
        expected, actual = expected[finite], actual[finite]
    differences = actual.sub(expected).abs_().flatten()
    if not differences.numel():
        return Difference(non_finite=non_finite)
    # An odd step has no factor in common with the width of a layer, so every column is sampled.
    step = -(-differences.numel() // MOST_SAMPLED) | 1
    return Difference(
        non_finite=non_finite,
        largest=float(differences.max()),
        total=float(differences.sum()),
        squared=_sum_of_squares(differences),
        eager_total=float(expected.sum()),
        eager_squared=_sum_of_squares(expected),
        values=differences.numel(),
        sampled=differences[::step].numpy().copy(),
    )


def _sum_of_squares(values: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2


class Tally:
    """The differences of one output on one kind of inputs, added batch by batch, so outputs need not be kept."""

    def __init__(self, inputs: str, output: str, axes: tuple[str, ...]) -> None:
        self.axes = axes
        self.output = output
        self._inputs = inputs
        self._differences: list[Difference] = []

    def add(self, difference: Difference) -> None:
        """Add the differences of one batch."""
        self._differences.append(difference)

    @property
    def non_finite(self) -> int:
        """How many values so far are NaN or infinite."""
        return sum(part.non_finite for part in self._differences)

    @property
    def agreement(self) -> Agreement:
        """The statistics so far; zeros where nothing finite was compared."""
        values = sum(part.values for part in self._differences)
        sampled = [part.sampled for part in self._differences if part.sampled is not None]
        return Agreement(
            inputs=self._inputs,
            output=self.output,
            largest=max((part.largest for part in self._differences), default=0.0),
            mean=sum(part.total for part in self._differences) / max(values, 1),
            percentile_999=float(np.percentile(np.concatenate(sampled), 99.9)) if sampled else 0.0,
            values=values,
            noise=self._noise(values),
        )

    def _noise(self, values: int) -> float:
        """Root mean square of the differences, divided by the standard deviation of eager PyTorch's values."""
        squared = sum(part.squared for part in self._differences)
        mean = sum(part.eager_total for part in self._differences) / max(values, 1)
        spread = sum(part.eager_squared for part in self._differences) - values * mean**2
        # The lower bound is for outputs that are constant except for rounding, whose deviation is next to 0.
        return math.sqrt(squared / max(spread, 1e-12 * max(values, 1)))


def without_non_finite(outputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The outputs with 0 for NaN and infinity, which fail a check of their own and which JSON cannot hold."""
    return {
        name: output if is_finite(output) else np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0)
        for name, output in outputs.items()
    }


def is_finite(output: Floats) -> bool:
    """Whether all values are finite; their sum usually tells, since NaN or infinity makes it NaN or infinite."""
    return math.isfinite(float(torch.from_numpy(output).sum())) or bool(np.isfinite(output).all())
