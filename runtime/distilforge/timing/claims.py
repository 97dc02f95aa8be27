"""The speeds that a release claims, from the measurements in its manifest.

If the timing was not steady, the release does not claim any speed and these functions return None.
"""

import math
from collections.abc import Sequence

from distilforge.manifest import Manifest, Measurement
from distilforge.timing import ratios
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape


def are_settled(manifest: Manifest) -> bool:
    """Whether the timing was steady; older releases, which do not say, count as steady."""
    return manifest.timing is None or manifest.timing.steady


def unsettled_reason(manifest: Manifest) -> str:
    """Why the release does not claim any speed, in a clause; empty if it does."""
    return "; ".join(manifest.timing.reasons) if manifest.timing is not None else ""


def speedup(manifest: Manifest, subject: str, over: str, *, shapes: Sequence[Shape] = ()) -> Estimate | None:
    """How many times as fast the variant `subject` is as `over`, another variant or `eager`.

    The number is the geometric mean over `shapes`; () means all shapes at which both were timed. None if the timing
    was not steady, or if the two were not timed together.
    """
    if not are_settled(manifest):
        return None
    return ratios.ratio(_measurements(manifest), subject, over, shapes=shapes, apart=_apart(manifest))


def seconds(manifest: Manifest, subject: str, shape: Shape) -> Estimate | None:
    """Seconds of one run of `subject` at `shape`; None if the timing was not steady or has no such run."""
    measurement = ratios.by_shape(_measurements(manifest), subject).get(shape)
    if measurement is None or not are_settled(manifest):
        return None
    return ratios.seconds(measurement, apart=_apart(manifest))


def shapes(manifest: Manifest, subject: str) -> tuple[Shape, ...]:
    """The shapes at which the variant `subject` was timed."""
    return tuple(ratios.by_shape(_measurements(manifest), subject))


def _measurements(manifest: Manifest) -> list[Measurement]:
    """All measurements of the release that hold times; each variant has an equal copy of eager's.

    A manifest can hold measurements without runs, or times of zero or less. They do not say anything.
    """
    return [
        measurement
        for variant in manifest.variants
        for measurement in variant.measurements
        if measurement.seconds and all(0 < taken < math.inf for taken in measurement.seconds)
    ]


def _apart(manifest: Manifest) -> tuple[int, ...]:
    return manifest.timing.apart if manifest.timing is not None else ()
