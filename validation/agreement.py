"""How far a variant's outputs lie from eager's."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from validation.batches import Feeds
from validation.errors import ArtifactError
from validation.report import Agreement
from validation.tasks.base import Floats

# Differences kept a batch for the percentile; below that, all are.
SAMPLED = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Absolute differences over one batch; `sampled` are those kept for the percentile."""

    non_finite: int
    largest: float = 0.0
    total: float = 0.0
    values: int = 0
    sampled: Floats | None = None


def difference(
    eager: Floats, variant: Floats, feeds: Feeds, axes: tuple[str, ...], *, compared: bool = True
) -> Difference:
    """How far `variant` lies from `eager`, outputs of one batch with the named axes.

    In outputs with a token axis only unmasked tokens count: what stands at padding is read by nobody, and kernels
    that skip padding may leave anything finite there. `non_finite` counts over all values, padding too, because one
    NaN there reaches every average that multiplies by the mask. With `compared` False nothing else is looked at.
    Raises ArtifactError where the shapes differ.
    """
    if variant.shape != eager.shape:
        raise ArtifactError(
            f"an output with the axes {', '.join(axes)} has shape {variant.shape}; eager PyTorch's has {eager.shape}",
            hint="export the checkpoint again, with the head it is validated as",
        )
    bad = 0 if is_finite(variant) else int((~np.isfinite(variant)).sum())
    if not compared:
        return Difference(non_finite=bad)
    found = torch.from_numpy(variant).sub(torch.from_numpy(eager)).abs_()
    counted = torch.from_numpy(feeds["attention_mask"] != 0)
    if axes[: counted.ndim][-1] == "sequence" and not bool(counted.all()):
        found = found[counted]
    found = found.flatten()
    if bad:
        found = found[torch.isfinite(found)]
    if not found.numel():
        return Difference(non_finite=bad)
    # An odd step shares no factor with the width of a layer, so that no column is left out every time.
    step = -(-found.numel() // SAMPLED) | 1
    return Difference(
        non_finite=bad,
        largest=float(found.max()),
        total=float(found.sum(dtype=torch.float64)),
        values=found.numel(),
        sampled=found[::step].numpy().copy(),
    )


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
        )


def repaired(outputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The outputs with NaN and infinity as 0: they fail a verdict of their own, and must not reach a report's JSON."""
    return {
        name: output if is_finite(output) else np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0)
        for name, output in outputs.items()
    }


def is_finite(output: Floats) -> bool:
    """Whether all values are finite, from one sum: NaN or infinity makes it NaN or infinity."""
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(output.sum(dtype=np.float64)))
