"""Select the variant of a release that this machine runs, and say why."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from distilforge.backends import Backend, backends
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.opening import ranking
from distilforge.opening.ranking import RunnableVariant
from distilforge.registry import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The variant to load, and why."""

    variant: Variant
    """The variant, as the manifest describes it."""
    backend: Backend
    """Loads the variant."""
    reason: str
    """Why this variant was selected, as a sentence for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Which variants of a release can run on this machine."""

    runnable: tuple[RunnableVariant, ...]
    """The variants that can run, in the manifest's order."""
    obstacles: Mapping[str, str]
    """Why each other variant cannot run: a clause by the variant's name."""


def select_variant(
    manifest: Manifest,
    name: str | None,
    *,
    allow_unvalidated: bool,
    threads: int | None = None,
    failures: Mapping[str, str] = MappingProxyType({}),
) -> Selection:
    """Select the variant called `name`, or with None the best one for this machine (distilforge.opening.ranking).

    `threads` is the number of threads that one run will use; None means the engine's default. `failures` are the
    variants that did not start, with the reasons as clauses; they are not selected unless one is named.

    Raises UnavailableError if no variant, or not the named one, can run on this machine; ReleaseError if the variant
    did not pass validation and `allow_unvalidated` is False; InputError if the release has no variant of that name.
    """
    if name is None:
        return _best(
            manifest,
            survey_variants(manifest, failures),
            allow_unvalidated=allow_unvalidated,
            threads=threads,
        )
    variant = _named(manifest, name)
    backend, obstacle = _backend(variant)
    if backend is None or obstacle is not None:
        raise UnavailableError(
            f"the variant {name!r} cannot run on this machine: {obstacle}",
            hint=_alternative(manifest, allow_unvalidated=allow_unvalidated, threads=threads),
        )
    if not variant.validated and not allow_unvalidated:
        _refuse_unvalidated(variant)
    return Selection(variant=variant, backend=backend, reason=f"{name} was asked for")


def survey_variants(manifest: Manifest, failures: Mapping[str, str] = MappingProxyType({})) -> Survey:
    """Ask the backends which variants of the release can run on this machine.

    `failures` are the variants that did not start, with the reasons as clauses.
    """
    runnable, obstacles = [], {}
    for variant in manifest.variants:
        backend, obstacle = _backend(variant)
        obstacle = failures.get(variant.name, obstacle)
        if obstacle is not None:
            obstacles[variant.name] = obstacle
        elif backend is not None:
            runnable.append(RunnableVariant(variant=variant, backend=backend))
    return Survey(runnable=tuple(runnable), obstacles=obstacles)


def _named(manifest: Manifest, name: str) -> Variant:
    names = tuple(variant.name for variant in manifest.variants)
    withheld = next((variant for variant in manifest.withheld if variant.name == name), None)
    if withheld is not None:
        raise InputError(
            f"{manifest.name} {manifest.version} was published without {name!r}: {withheld.reason}",
            hint=f"open one of its variants: {', '.join(names)}",
        )
    if name not in names:
        raise InputError(
            f"{manifest.name} {manifest.version} has no variant {name!r}", hint=nearest(name, names)
        )
    return manifest.variants[names.index(name)]


def _backend(variant: Variant) -> tuple[Backend | None, str | None]:
    """The backend of the variant's target, and why it cannot run the variant here; None if it can."""
    backend = backends.get(variant.target)
    if backend is None:
        suggestion = nearest(variant.target, backends.names())
        return None, f"this distilforge has no backend for {variant.target!r}; {suggestion}"
    return backend, backend.obstacle(variant)


def _best(manifest: Manifest, survey: Survey, *, allow_unvalidated: bool, threads: int | None) -> Selection:
    obstacles = [f"{name} cannot run here: {obstacle}" for name, obstacle in survey.obstacles.items()]
    if not survey.runnable:
        raise UnavailableError(
            f"no variant of {manifest.name} {manifest.version} can run on this machine: {'; '.join(obstacles)}",
            hint="install what is missing, or build the release for this machine",
        )
    if not allow_unvalidated and not any(candidate.variant.validated for candidate in survey.runnable):
        _refuse_unvalidated(survey.runnable[0].variant)
    best, reason = ranking.best(manifest, survey.runnable, threads=threads)
    return Selection(variant=best.variant, backend=best.backend, reason="; ".join([reason, *obstacles]))


def _alternative(manifest: Manifest, *, allow_unvalidated: bool, threads: int | None) -> str:
    """A hint that names a variant that can run here, if there is one."""
    try:
        best = _best(
            manifest, survey_variants(manifest), allow_unvalidated=allow_unvalidated, threads=threads
        )
    except (UnavailableError, ReleaseError):
        return "no variant of this release can run here; build one for this machine"
    return f"leave variant out, or pass variant={best.variant.name!r}: it can run here"


def _refuse_unvalidated(variant: Variant) -> None:
    failures = [
        f"{verdict.check}: observed {verdict.observed:g} {verdict.unit}, limit {verdict.comparison} {verdict.limit:g}"
        for verdict in variant.verdicts
        if not verdict
    ]
    raise ReleaseError(
        f"the variant {variant.name!r} did not pass validation: {'; '.join(failures) or 'it was never validated'}",
        hint="pass allow_unvalidated=True to use it anyway",
    )
