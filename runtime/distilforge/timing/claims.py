"""What a release says of its own speed: ratios and medians of its measurements, none where they are not settled."""

from collections.abc import Sequence

from distilforge.manifest import Manifest, Measurement
from distilforge.timing import ratios
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape


def are_settled(manifest: Manifest) -> bool:
    """Whether the timing was steady; releases made before that was watched count as such."""
    return manifest.timing is None or manifest.timing.steady


def unsettled_reason(manifest: Manifest) -> str:
    """Why no speed is claimed, in a clause; empty where it is."""
    return "; ".join(manifest.timing.reasons) if manifest.timing is not None else ""


def speedup(manifest: Manifest, subject: str, over: str, *, shapes: Sequence[Shape] = ()) -> Estimate | None:
    """How many times as fast the variant `subject` is as `over`, another variant or `eager`.

    The geometric mean over `shapes`, or over all that both were timed at. None where they were not timed together, or
    the timing was not steady.
    """
    if not are_settled(manifest):
        return None
    return ratios.ratio(_measurements(manifest), subject, over, shapes=shapes, apart=_apart(manifest))


def seconds(manifest: Manifest, subject: str, shape: Shape) -> Estimate | None:
    """Seconds of a run of `subject`; None where it was not timed at `shape`, or the timing was not steady."""
    taken = ratios.by_shape(_measurements(manifest), subject).get(shape)
    if taken is None or not are_settled(manifest):
        return None
    return ratios.seconds(taken, apart=_apart(manifest))


def shapes(manifest: Manifest, subject: str) -> tuple[Shape, ...]:
    """At which the variant `subject` was timed."""
    return tuple(ratios.by_shape(_measurements(manifest), subject))


def _measurements(manifest: Manifest) -> list[Measurement]:
    """All of the release; eager's stand with every variant and are the same each time."""
    return [taken for variant in manifest.variants for taken in variant.measurements]


def _apart(manifest: Manifest) -> tuple[int, ...]:
    return manifest.timing.apart if manifest.timing is not None else ()
