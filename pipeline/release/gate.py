"""The gate between validation and publication."""

from distilforge.manifest import Manifest, Verdict

from pipeline.errors import GateError


def enforce(manifest: Manifest) -> None:
    """Raise GateError, with what was observed against which limit, unless every verdict is met.

    What is withheld is no failure, unless nothing is left.
    """
    if not manifest.variants:
        raise GateError(
            "every variant was withheld",
            withheld(manifest),
            manifest,
            hint="add a variant that keeps the checkpoint's precision, such as onnxruntime-cpu:fp32",
        )
    failed = [
        f"  {variant.name}: {sentence(verdict)}"
        for variant in manifest.variants
        for verdict in variant.verdicts
        if not verdict
    ]
    if failed or not manifest.validated:
        count = sum(len(variant.verdicts) for variant in manifest.variants)
        raise GateError(
            f"{len(failed)} of {count} checks failed",
            failed,
            manifest,
            hint="`--gate report` publishes it all the same, marked as not validated",
        )


def withheld(manifest: Manifest) -> list[str]:
    """A line for each variant that is not in the release, with the reason."""
    return [f"{each.name} is withheld: {each.reason}" for each in manifest.withheld]


def sentence(verdict: Verdict) -> str:
    """What was observed, against which limit."""
    return f"{verdict.check} is {verdict.observed:.4g}, must be {verdict.comparison} {verdict.limit:.4g} {verdict.unit}"
