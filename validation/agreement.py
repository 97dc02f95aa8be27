"""How far a variant's outputs lie from eager's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from validation.batches import Bools, Feeds
from validation.errors import ArtifactError
from validation.report import Agreement
from validation.tasks.base import Floats

# Differences kept a batch for the percentile; below that, all are.
SAMPLED = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Absolute differences over one batch; `sampled` are those kept for the percentile.

    `total` and `squared` sum the differences and their squares; `eager_total` and `eager_squared` eager's outputs.
    """

    non_finite: int
    largest: float = 0.0
    total: float = 0.0
    squared: float = 0.0
    eager_total: float = 0.0
    eager_squared: float = 0.0
    values: int = 0
    sampled: Floats | None = None


def difference(
    eager: Floats,
    variant: Floats,
    feeds: Feeds,
    axes: tuple[str, ...],
    *,
    compared: bool = True,
    kept: Bools | None = None,
) -> Difference:
    """How far `variant` lies from `eager`, outputs of one batch with the named axes.

    In outputs with a token axis only unmasked tokens count, or those that `kept` says: what stands at padding is read
    by nobody, and kernels that skip padding may leave anything finite there. `non_finite` counts over all values,
    padding too, because one NaN there reaches every average that multiplies by the mask. With `compared` False
    nothing else is looked at. Raises ArtifactError where the shapes differ.
    """
    if variant.shape != eager.shape:
        raise ArtifactError(
            f"an output with the axes {', '.join(axes)} has shape {variant.shape}; eager PyTorch's has {eager.shape}",
            hint="export the checkpoint again, with the head it is validated as",
        )
    bad = 0 if is_finite(variant) else int((~np.isfinite(variant)).sum())
    if not compared:
        return Difference(non_finite=bad)
    expected, found = torch.from_numpy(eager), torch.from_numpy(variant)
    counted = torch.from_numpy(feeds["attention_mask"] != 0 if kept is None else kept)
    if axes[: counted.ndim][-1] == "sequence" and not bool(counted.all()):
        expected, found = expected[counted], found[counted]
    if bad:
        finite = torch.isfinite(found)
        expected, found = expected[finite], found[finite]
    apart = found.sub(expected).abs_().flatten()
    if not apart.numel():
        return Difference(non_finite=bad)
    # An odd step shares no factor with the width of a layer, so that no column is left out every time.
    step = -(-apart.numel() // SAMPLED) | 1
    return Difference(
        non_finite=bad,
        largest=float(apart.max()),
        total=float(apart.sum()),
        squared=_squared(apart),
        eager_total=float(expected.sum()),
        eager_squared=_squared(expected),
        values=apart.numel(),
        sampled=apart[::step].numpy().copy(),
    )


def _squared(values: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2


class Tally:
    """The differences of one output on one kind of inputs, batch by batch, so that no output has to be kept."""

    def __init__(self, inputs: str, output: str, axes: tuple[str, ...]) -> None:
        self.axes = axes
        self.output = output
        self._inputs = inputs
        self._found: list[Difference] = []

    def add(self, found: Difference) -> None:
        self._found.append(found)

    @property
    def non_finite(self) -> int:
        return sum(found.non_finite for found in self._found)

    @property
    def agreement(self) -> Agreement:
        """The tally so far; zeros where nothing finite was compared."""
        values = sum(found.values for found in self._found)
        sampled = [found.sampled for found in self._found if found.sampled is not None]
        return Agreement(
            inputs=self._inputs,
            output=self.output,
            largest=max((found.largest for found in self._found), default=0.0),
            mean=sum(found.total for found in self._found) / max(values, 1),
            percentile_999=float(np.percentile(np.concatenate(sampled), 99.9)) if sampled else 0.0,
            values=values,
            noise=self._noise(values),
        )

    def _noise(self, values: int) -> float:
        """Root mean square of the differences by the standard deviation of eager's outputs."""
        squared = sum(found.squared for found in self._found)
        mean = sum(found.eager_total for found in self._found) / max(values, 1)
        spread = sum(found.eager_squared for found in self._found) - values * mean**2
        # An output that is constant but for rounding has no spread to measure against.
        return math.sqrt(squared / max(spread, 1e-12 * max(values, 1)))


def repaired(outputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The outputs with NaN and infinity as 0: they fail a verdict of their own, and must not reach a report's JSON."""
    return {
        name: output if is_finite(output) else np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0)
        for name, output in outputs.items()
    }


def is_finite(output: Floats) -> bool:
    """Whether all values are finite; mostly from one sum, which NaN or infinity makes NaN or infinity."""
    return math.isfinite(float(torch.from_numpy(output).sum())) or bool(np.isfinite(output).all())
