"""Rank the variants that can run on this machine, and say in a sentence why the best one is the best.

The rules, in order:

1. Validated variants go before the others.
2. If all of those were benchmarked on this machine, the fastest is the best.
3. Otherwise only those whose backend has the highest preference remain. The best of them is the fastest one that was
   benchmarked on this machine, if all of them were; else the fastest where the release was built; else the first in
   the manifest's order.

Timings of the build machine that are not settled still order the variants, but the sentence claims no speed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distilforge.backends import Backend
from distilforge.manifest import Manifest, Variant
from distilforge.records import record_files
from distilforge.timing import claims, ratios

if TYPE_CHECKING:
    from distilforge.records.benchmark_records import BenchmarkRecord

EAGER = "eager"
"""Name of eager PyTorch in a release's measurements; every variant was timed in turns with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableVariant:
    """A variant that can run on this machine."""

    variant: Variant
    """The variant, as the manifest describes it."""
    backend: Backend
    """Loads the variant."""

    @property
    def name(self) -> str:
        """The variant's name, such as `onnxruntime-cpu:int8`."""
        return self.variant.name


def best(
    manifest: Manifest, runnable: Sequence[RunnableVariant], *, threads: int | None
) -> tuple[RunnableVariant, str]:
    """The best of `runnable`, which is not empty, and why.

    `threads` is the number of threads that one run will use; None means the engine's default.
    """
    if len(runnable) == 1:
        return runnable[0], f"chose {runnable[0].name}, the only one that can run here"
    candidates = [candidate for candidate in runnable if candidate.variant.validated] or runnable
    record = _benchmark_record(manifest, threads) if len(candidates) > 1 else None
    if not _covers(record, candidates):
        highest = max(candidate.backend.preference for candidate in candidates)
        candidates = [candidate for candidate in candidates if candidate.backend.preference == highest]
    if record is not None and len(candidates) > 1 and _covers(record, candidates):
        return _fastest_here(record, candidates, runnable)
    return _fastest_where_built(manifest, candidates, runnable)


def speedups(variants: Sequence[Variant], *, apart: Sequence[int] = ()) -> dict[str, float]:
    """How many times as fast as eager PyTorch each variant was where the release was built, by the variant's name.

    A number is the geometric mean over the shapes that all timed variants share (distilforge.timing.ratios). Each
    variant was timed in turns with eager, so these numbers compare across variants, which seconds would not. Rounds
    whose index is in `apart` are left out, and so are variants without measurements.
    """
    shapes = {
        variant.name: set(ratios.by_shape(variant.measurements, variant.name))
        & set(ratios.by_shape(variant.measurements, EAGER))
        for variant in variants
    }
    timed = [variant_shapes for variant_shapes in shapes.values() if variant_shapes]
    shared = sorted(set.intersection(*timed)) if timed else []
    if not shared:
        return {}
    return {
        variant.name: ratio.value
        for variant in variants
        if shapes[variant.name]
        and (ratio := ratios.ratio(variant.measurements, variant.name, EAGER, shapes=shared, apart=apart))
    }


def _benchmark_record(manifest: Manifest, threads: int | None) -> "BenchmarkRecord | None":
    if not record_files.has_records(manifest):
        return None
    # Imported only if there is something to read, because opening a release must be quick
    from distilforge.records.benchmark_records import read_record

    return read_record(manifest, threads)


def _covers(record: "BenchmarkRecord | None", candidates: Sequence[RunnableVariant]) -> bool:
    return record is not None and all(candidate.name in record.speeds for candidate in candidates)


def _fastest_here(
    record: "BenchmarkRecord", candidates: Sequence[RunnableVariant], runnable: Sequence[RunnableVariant]
) -> tuple[RunnableVariant, str]:
    first, second, *_ = sorted(candidates, key=lambda candidate: -record.speeds[candidate.name])
    times = record.speeds[first.name] / record.speeds[second.name]
    others = ", ".join(_others(runnable, (first.name, second.name), {}))
    return first, (
        f"chose {first.name}, {times:.1f} times as fast as {second.name} "
        f"measured on this machine on {record.measured_at[:10]}" + (f", over {others}" if others else "")
    )


def _fastest_where_built(
    manifest: Manifest, candidates: Sequence[RunnableVariant], runnable: Sequence[RunnableVariant]
) -> tuple[RunnableVariant, str]:
    apart = manifest.timing.apart if manifest.timing is not None else ()
    speeds = speedups([candidate.variant for candidate in runnable], apart=apart)
    # max takes the first of equals, which is the manifest's order
    fastest = max(candidates, key=lambda candidate: speeds.get(candidate.name, 0.0))
    settled = claims.are_settled(manifest)
    claimed = speeds if settled else {}
    speed = (
        f", {claimed[fastest.name]:.1f} times as fast as eager where it was built,"
        if fastest.name in claimed
        else ""
    )
    reason = f"chose {fastest.name}{speed} over {', '.join(_others(runnable, (fastest.name,), claimed))}"
    if speeds and not settled:
        reason += (
            "; its speed where it was built is not settled; "
            "`python -m distilforge bench RELEASE` measures it here"
        )
    return fastest, reason


def _others(
    runnable: Sequence[RunnableVariant], mentioned: Sequence[str], speeds: Mapping[str, float]
) -> Iterator[str]:
    """A phrase for each variant that the sentence has not `mentioned` yet, with its speed if `speeds` has it."""
    for candidate in runnable:
        if candidate.name not in mentioned:
            speed = f" ({speeds[candidate.name]:.1f})" if candidate.name in speeds else ""
            yield f"{candidate.name}{speed}{'' if candidate.variant.validated else ', not validated'}"
