"""Of the variants that can run on this machine, which one to take, and the sentence that says why.

What was validated goes first. Among those: where all of them were measured on this machine, the fastest. Else those of
the backend with the highest preference, and of these the fastest as measured here, else the fastest where they were
built, else, without any claim, by medians that are not settled, else the manifest's order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from distilforge.backends import Backend
from distilforge.manifest import Manifest, Variant
from distilforge.measured import place
from distilforge.timing import claims, ratios

if TYPE_CHECKING:
    from distilforge.measured.memory import Remembered

EAGER = "eager"
"""The subject that every variant was timed in turns with where it was built."""


Able = tuple[Variant, Backend]
"""A variant that can run here, with what loads it."""


def rank(manifest: Manifest, able: Sequence[Able], *, threads: int | None) -> tuple[Able, str]:
    """The one of `able` to take, and why, for runs on `threads` threads, the engine's default where None."""
    if len(able) == 1:
        return able[0], f"chose {able[0][0].name}, the one that can run here"
    candidates = [pair for pair in able if pair[0].validated] or able
    remembered = _recalled(manifest, threads) if len(candidates) > 1 else None
    if not _covers(remembered, candidates):
        highest = max(backend.preference for _, backend in candidates)
        candidates = [pair for pair in candidates if pair[1].preference == highest]
    if remembered is not None and len(candidates) > 1 and _covers(remembered, candidates):
        return _as_measured(remembered, candidates, able)
    return _as_built(manifest, candidates, able)


def speedups(variants: Sequence[Variant], *, apart: Sequence[int] = ()) -> dict[str, float]:
    """How many times as fast as eager PyTorch each variant was, by name; those without measurements are left out.

    The geometric mean over the shapes that all of the measured ones share (distilforge.timing.ratios); the rounds
    `apart` are left out. Each was timed in turns with eager, so that these compare across variants as bare seconds
    would not.
    """
    shapes = {
        variant.name: set(ratios.by_shape(variant.measurements, variant.name))
        & set(ratios.by_shape(variant.measurements, EAGER))
        for variant in variants
    }
    measured = [timed for timed in shapes.values() if timed]
    shared = sorted(set.intersection(*measured)) if measured else []
    if not shared:
        return {}
    return {
        variant.name: ratio.value
        for variant in variants
        if shapes[variant.name]
        and (ratio := ratios.ratio(variant.measurements, variant.name, EAGER, shapes=shared, apart=apart))
    }


def _recalled(manifest: Manifest, threads: int | None) -> "Remembered | None":
    if not place.is_remembered(manifest):
        return None
    # Only where there is something to read, so that opening stays quick
    from distilforge.measured import memory

    return memory.recall(manifest, threads)


def _covers(remembered: "Remembered | None", candidates: Sequence[Able]) -> bool:
    return remembered is not None and all(variant.name in remembered.speeds for variant, _ in candidates)


def _as_measured(
    remembered: "Remembered", candidates: Sequence[Able], able: Sequence[Able]
) -> tuple[Able, str]:
    best, second, *_ = sorted(candidates, key=lambda pair: -remembered.speeds[pair[0].name])
    name, other = best[0].name, second[0].name
    times = remembered.speeds[name] / remembered.speeds[other]
    others = ", ".join(_others(able, (name, other), {}))
    return best, (
        f"chose {name}, {times:.1f} times as fast as {other} measured on this machine on {remembered.measured[:10]}"
        + (f", before {others}" if others else "")
    )


def _as_built(manifest: Manifest, candidates: Sequence[Able], able: Sequence[Able]) -> tuple[Able, str]:
    apart = manifest.timing.apart if manifest.timing is not None else ()
    speeds = speedups([variant for variant, _ in able], apart=apart)
    # max takes the first of equals, in the manifest's order
    best = max(candidates, key=lambda pair: speeds.get(pair[0].name, 0.0))
    settled = claims.are_settled(manifest)
    claimed = speeds if settled else {}
    name = best[0].name
    fast = f", {claimed[name]:.1f} times as fast as eager where it was built," if name in claimed else ""
    reason = f"chose {name}{fast} before {', '.join(_others(able, (name,), claimed))}"
    if speeds and not settled:
        reason += (
            "; its speed where it was built is not settled; "
            "`python -m distilforge bench RELEASE` measures it here"
        )
    return best, reason


def _others(able: Sequence[Able], told: Sequence[str], speeds: Mapping[str, float]) -> Iterator[str]:
    """All of `able` but those `told` of already, with their speeds."""
    for variant, _ in able:
        if variant.name not in told:
            speed = f" ({speeds[variant.name]:.1f})" if variant.name in speeds else ""
            yield f"{variant.name}{speed}{'' if variant.validated else ', not validated'}"
