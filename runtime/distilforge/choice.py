"""Which variant of a release this machine runs, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from distilforge import ranking
from distilforge.backends import Backend, backends
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.registry import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variant, what loads it, and a sentence on why it was taken."""

    variant: Variant
    backend: Backend
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """Every variant as this machine sees it."""

    able: tuple[tuple[Variant, Backend], ...]
    """Those that can run, with what loads them, in the manifest's order."""
    obstacles: Mapping[str, str]
    """Why the others cannot, a clause by name."""


def choose(
    manifest: Manifest, name: str | None, *, allow_unvalidated: bool, threads: int | None = None
) -> Choice:
    """The variant `name`, or with None the one that suits this machine best (distilforge.ranking).

    `threads` is how many a run will use, the engine's default where None. Raises UnavailableError where nothing, or
    not what was asked for, can run here; ReleaseError for one that is not validated; InputError for no such name.
    """
    if name is None:
        return _best(manifest, survey(manifest), allow_unvalidated=allow_unvalidated, threads=threads)
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
            hint=_instead(manifest, allow_unvalidated=allow_unvalidated, threads=threads),
        )
    if not variant.validated and not allow_unvalidated:
        _refuse_unvalidated(variant)
    return Choice(variant=variant, backend=backend, reason=f"{name} was asked for")


def survey(manifest: Manifest) -> Surveyed:
    """Ask this machine about every variant."""
    able, obstacles = [], {}
    for variant in manifest.variants:
        backend, obstacle = _asked(variant)
        if obstacle is not None:
            obstacles[variant.name] = obstacle
        elif backend is not None:
            able.append((variant, backend))
    return Surveyed(able=tuple(able), obstacles=obstacles)


def _asked(variant: Variant) -> tuple[Backend | None, str | None]:
    """What loads the variant, and why it cannot run here, None where it can."""
    backend = backends.get(variant.target)
    if backend is None:
        near = nearest(variant.target, backends.names())
        return None, f"this distilforge has no backend for {variant.target!r}; {near}"
    return backend, backend.obstacle(variant)


def _best(manifest: Manifest, seen: Surveyed, *, allow_unvalidated: bool, threads: int | None) -> Choice:
    obstacles = [f"{name} cannot run here: {obstacle}" for name, obstacle in seen.obstacles.items()]
    if not seen.able:
        raise UnavailableError(
            f"no variant of {manifest.name} {manifest.version} can run on this machine: {'; '.join(obstacles)}",
            hint="install what is missing, or build the release for this machine",
        )
    if not allow_unvalidated and not any(variant.validated for variant, _ in seen.able):
        _refuse_unvalidated(seen.able[0][0])
    (best, backend), why = ranking.rank(manifest, seen.able, threads=threads)
    return Choice(variant=best, backend=backend, reason="; ".join([why, *obstacles]))


def _instead(manifest: Manifest, *, allow_unvalidated: bool, threads: int | None) -> str:
    try:
        best = _best(manifest, survey(manifest), allow_unvalidated=allow_unvalidated, threads=threads)
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
