"""Which variant of a release this machine runs, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distilforge.backends import Backend, backends
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.registry import nearest

EAGER = "eager"
"""The subject that every variant was timed in turns with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variant, what loads it, and a sentence on why it was taken."""

    variant: Variant
    backend: Backend
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surveyed:
    """Every variant as this machine sees it; `obstacles` are clauses by the names of those that cannot run."""

    able: tuple[tuple[Variant, Backend], ...]
    obstacles: Mapping[str, str]


def choose(manifest: Manifest, name: str | None, *, allow_unvalidated: bool) -> Choice:
    """The variant `name`, or with None the one that suits this machine best.

    Of those that can run, what was validated goes first, then the backend with the highest preference, then what was
    fastest beside eager PyTorch where it was built, then the manifest's order. Raises UnavailableError where nothing,
    or not what was asked for, can run here; ReleaseError for one that is not validated; InputError for no such name.
    """
    if name is None:
        return _best(manifest, _survey(manifest), allow_unvalidated=allow_unvalidated)
    variant = next((each for each in manifest.variants if each.name == name), None)
    withheld = next((each for each in manifest.withheld if each.name == name), None)
    if withheld is not None:
        raise InputError(
            f"{manifest.name} {manifest.version} was published without {name!r}: {withheld.reason}",
            hint=f"it has {', '.join(each.name for each in manifest.variants)}",
        )
    if variant is None:
        raise InputError(
            f"{manifest.name} {manifest.version} has no variant {name!r}",
            hint=nearest(name, tuple(each.name for each in manifest.variants)),
        )
    backend, obstacle = _asked(variant)
    if backend is None or obstacle is not None:
        raise UnavailableError(
            f"the variant {name!r} cannot run on this machine: {obstacle}",
            hint=_instead(manifest, allow_unvalidated=allow_unvalidated),
        )
    if not variant.validated and not allow_unvalidated:
        _refuse_unvalidated(variant)
    return Choice(variant=variant, backend=backend, reason=f"{name} was asked for")


def speedups(variants: Sequence[Variant]) -> dict[str, float]:
    """How many times as fast as eager PyTorch each variant was, by name; those without measurements are left out.

    The geometric mean, over the shapes that all of the measured ones share, of the ratios of medians: each was timed
    in turns with eager, so the ratios compare across variants as bare seconds would not.
    """
    ratios = {variant.name: found for variant in variants if (found := _ratios(variant))}
    shared = set.intersection(*map(set, ratios.values())) if ratios else set()
    if not shared:
        return {}
    return {
        name: math.exp(math.fsum(math.log(found[shape]) for shape in shared) / len(shared))
        for name, found in ratios.items()
    }


def _ratios(variant: Variant) -> dict[tuple[int, int], float]:
    """Median seconds of eager over the variant's, by batch and tokens."""
    medians = {
        (measured.subject, measured.batch, measured.tokens): float(np.median(measured.seconds))
        for measured in variant.measurements
        if measured.seconds
    }
    return {
        (batch, tokens): medians[EAGER, batch, tokens] / seconds
        for (subject, batch, tokens), seconds in medians.items()
        if subject == variant.name and medians.get((EAGER, batch, tokens), 0) > 0 and seconds > 0
    }


def _survey(manifest: Manifest) -> _Surveyed:
    able, obstacles = [], {}
    for variant in manifest.variants:
        backend, obstacle = _asked(variant)
        if obstacle is not None:
            obstacles[variant.name] = obstacle
        elif backend is not None:
            able.append((variant, backend))
    return _Surveyed(able=tuple(able), obstacles=obstacles)


def _asked(variant: Variant) -> tuple[Backend | None, str | None]:
    """What loads the variant, and why it cannot run here, None where it can."""
    backend = backends.get(variant.target)
    if backend is None:
        near = nearest(variant.target, backends.names())
        return None, f"this distilforge has no backend for {variant.target!r}; {near}"
    return backend, backend.obstacle(variant)


def _best(manifest: Manifest, found: _Surveyed, *, allow_unvalidated: bool) -> Choice:
    obstacles = [f"{name} cannot run here: {obstacle}" for name, obstacle in found.obstacles.items()]
    if not found.able:
        raise UnavailableError(
            f"no variant of {manifest.name} {manifest.version} can run on this machine: {'; '.join(obstacles)}",
            hint="install what is missing, or build the release for this machine",
        )
    if not allow_unvalidated and not any(variant.validated for variant, _ in found.able):
        _refuse_unvalidated(found.able[0][0])
    speeds = speedups([variant for variant, _ in found.able])

    def rank(pair: tuple[Variant, Backend]) -> tuple[bool, int, float]:
        variant, backend = pair
        return not variant.validated, -backend.preference, -speeds.get(variant.name, 0.0)

    # The sort keeps the manifest's order among equals.
    (best, backend), *others = sorted(found.able, key=rank)
    return Choice(
        variant=best,
        backend=backend,
        reason="; ".join([_why(best, [variant for variant, _ in others], speeds), *obstacles]),
    )


def _why(best: Variant, others: Sequence[Variant], speeds: Mapping[str, float]) -> str:
    chose = f"chose {best.name}"
    if not others:
        return f"{chose}, the one that can run here"
    if best.name in speeds:
        chose += f", {speeds[best.name]:.1f} times as fast as eager where it was built,"
    return f"{chose} before {', '.join(_with_speed(other, speeds) for other in others)}"


def _with_speed(variant: Variant, speeds: Mapping[str, float]) -> str:
    speed = f" ({speeds[variant.name]:.1f})" if variant.name in speeds else ""
    return f"{variant.name}{speed}{'' if variant.validated else ', not validated'}"


def _instead(manifest: Manifest, *, allow_unvalidated: bool) -> str:
    try:
        best = _best(manifest, _survey(manifest), allow_unvalidated=allow_unvalidated)
    except (UnavailableError, ReleaseError):
        return "no variant of this release can run here; build one for this machine"
    return f"leave variant out, or pass variant={best.variant.name!r}: it can run here"


def _refuse_unvalidated(variant: Variant) -> None:
    failed = [
        f"{verdict.check}: observed {verdict.observed:g} {verdict.unit}, limit {verdict.comparison} {verdict.limit:g}"
        for verdict in variant.verdicts
        if not verdict
    ]
    raise ReleaseError(
        f"the variant {variant.name!r} did not pass validation: {'; '.join(failed) or 'it was never validated'}",
        hint="pass allow_unvalidated=True to use it all the same",
    )
