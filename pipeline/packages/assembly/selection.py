"""Selects the variant that a package holds, and says why in one line."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Variant
from distilforge.opening.ranking import speedups
from distilforge.timing import claims

from pipeline.errors import UsageError
from pipeline.packages.base import PackageKind


def select(manifest: Manifest, kind: PackageKind, name: str | None) -> tuple[Variant, str]:
    """The variant called `name`, or with None the best one that `kind` holds; and why, as a clause.

    Among the validated variants that fit the first pattern in `kind.holds` that any of them fits, the best one is the
    fastest where the release was built.

    Raises UsageError if the release does not have the variant, or none that the kind holds; ReleaseError if the variant
    did not pass validation.
    """
    if name is not None:
        return _named(manifest, kind, name), "it was asked for"
    fitting = [variant for variant in manifest.variants if _preference(kind, variant) is not None]
    if not fitting:
        raise UsageError(
            f"{manifest.name} {manifest.version} does not have a variant for a package of the kind {kind.name}: it "
            f"has {_names(manifest.variants)}, and the kind holds {', '.join(kind.holds)}",
            hint=f"build the release with one: `distilforge build ... --variant {_example(kind)}`",
        )
    validated = [variant for variant in fitting if variant.validated]
    if not validated:
        raise _unvalidated(fitting[0])
    best = min(_preference(kind, variant) or 0 for variant in validated)
    candidates = [variant for variant in validated if _preference(kind, variant) == best]
    if len(candidates) == 1:
        reason = f"the first of {', '.join(kind.holds)} that the release has and that passed validation"
        return candidates[0], reason
    return _fastest(manifest, candidates, fits=kind.holds[best])


def _named(manifest: Manifest, kind: PackageKind, name: str) -> Variant:
    variant = next((variant for variant in manifest.variants if variant.name == name), None)
    if variant is None:
        raise UsageError(
            f"{manifest.name} {manifest.version} does not have the variant {name!r}",
            hint=f"it has {_names(manifest.variants)}",
        )
    if _preference(kind, variant) is None:
        raise UsageError(
            f"a package of the kind {kind.name} cannot hold {name!r}",
            hint=f"it holds {', '.join(kind.holds)}; leave --variant out to have one selected",
        )
    if not variant.validated:
        raise _unvalidated(variant)
    return variant


def _fastest(manifest: Manifest, candidates: Sequence[Variant], *, fits: str) -> tuple[Variant, str]:
    apart = manifest.timing.apart if manifest.timing is not None else ()
    speeds = speedups(candidates, apart=apart)
    # max takes the first of equals, which is the manifest's order
    fastest = max(candidates, key=lambda variant: speeds.get(variant.name, 0.0))
    others = _names([variant for variant in candidates if variant is not fastest])
    if fastest.name not in speeds:
        return fastest, f"the first validated variant that fits {fits}, before {others}; none was timed"
    if not claims.are_settled(manifest):
        return (
            fastest,
            f"it seemed faster than {others} where the release was built; its speed is not settled",
        )
    return fastest, (
        f"{speeds[fastest.name]:.1f} times as fast as eager PyTorch where the release was built, faster than {others}"
    )


def _preference(kind: PackageKind, variant: Variant) -> int | None:
    """The index of the first pattern that the variant fits; None if it fits none."""
    fitting = (index for index, pattern in enumerate(kind.holds) if fnmatchcase(variant.name, pattern))
    return next(fitting, None)


def _names(variants: Sequence[Variant]) -> str:
    return ", ".join(variant.name for variant in variants)


def _example(kind: PackageKind) -> str:
    return kind.holds[0].replace("*", "fp32")


def _unvalidated(variant: Variant) -> ReleaseError:
    return ReleaseError(
        f"the variant {variant.name!r} did not pass validation, and is not packaged",
        hint="`distilforge inspect RELEASE` prints its checks; build it again, or choose another one with --variant",
    )
