"""How far a variant's outputs differ from eager PyTorch's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from validation.answers.batches import Bools, Feeds
from validation.answers.channels import Channels
from validation.errors import ArtifactError
from validation.reports.report import Agreement
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
    values: int = 0
    """How many values were compared."""
    channels: Channels | None = None
    """The statistics of each channel; None where nothing was compared."""
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
    differences = actual.sub(expected).abs_()
    compared_values = differences.flatten()
    if non_finite:
        finite = torch.isfinite(actual)
        compared_values = differences[finite]
        differences[~finite] = 0.0
    if not compared_values.numel():
        return Difference(non_finite=non_finite)
    # An odd step has no factor in common with the width of a layer, so every column is sampled.
    step = -(-compared_values.numel() // MOST_SAMPLED) | 1
    return Difference(
        non_finite=non_finite,
        largest=float(compared_values.max()),
        total=float(compared_values.sum()),
        squared=float(torch.linalg.vector_norm(compared_values)) ** 2,
        values=compared_values.numel(),
        channels=Channels.of(expected, differences, axes),
        sampled=compared_values[::step].numpy().copy(),
    )


class Tally:
    """The differences of one output on one kind of inputs, added batch by batch, so outputs need not be kept."""

    def __init__(self, inputs: str, output: str, axes: tuple[str, ...]) -> None:
        self.axes = axes
        self.output = output
        self.non_finite = 0
        """How many values so far are NaN or infinite."""
        self._inputs = inputs
        self._largest = self._total = self._squared = 0.0
        self._values = 0
        self._channels: Channels | None = None
        self._sampled: list[Floats] = []

    def add(self, difference: Difference) -> None:
        """Add the differences of one batch."""
        self.non_finite += difference.non_finite
        self._largest = max(self._largest, difference.largest)
        self._total += difference.total
        self._squared += difference.squared
        self._values += difference.values
        more = difference.channels
        if more is not None:
            self._channels = more if self._channels is None else self._channels.with_more(more)
        if difference.sampled is not None:
            self._sampled.append(difference.sampled)

    @property
    def agreement(self) -> Agreement:
        """The statistics so far; zeros where nothing finite was compared."""
        spread = self._channels.spread if self._channels else 0.0
        root_mean_square = math.sqrt(self._squared / max(self._values, 1))
        return Agreement(
            inputs=self._inputs,
            output=self.output,
            largest=self._largest,
            scaled=self._channels.scaled_error if self._channels else 0.0,
            mean=self._total / max(self._values, 1),
            percentile_999=float(np.percentile(np.concatenate(self._sampled), 99.9))
            if self._sampled
            else 0.0,
            values=self._values,
            root_mean_square=root_mean_square,
            spread=spread,
            noise=noise(root_mean_square, spread),
        )


def noise(root_mean_square: float, spread: float) -> float:
    """The root mean square of the differences in units of the output's spread."""
    # The lower bound is for outputs that are constant except for rounding, whose deviation is next to 0.
    return root_mean_square / max(spread, 1e-6)


def without_non_finite(outputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The outputs with 0 for NaN and infinity, which fail a check of their own and which JSON cannot hold."""
    return {
        name: output if is_finite(output) else np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0)
        for name, output in outputs.items()
    }


def is_finite(output: Floats) -> bool:
    """Whether all values are finite; their sum usually tells, since NaN or infinity makes it NaN or infinite."""
    return math.isfinite(float(torch.from_numpy(output).sum())) or bool(np.isfinite(output).all())
