"""The gate between validation and publication."""

from distilforge.manifest import Manifest, Verdict

from pipeline.errors import GateError
from validation.reports.numbers import apart


def enforce(manifest: Manifest) -> None:
    """Raise GateError, with each observed value and its limit, unless every verdict is met.

    A withheld variant is not a failure, unless no variant is left.
    """
    if not manifest.variants:
        raise GateError(
            "every variant was withheld",
            withheld_lines(manifest),
            manifest,
            hint="a release needs a variant that passes: mend what the checks found, or add one that keeps the "
            "checkpoint's precision, such as onnxruntime-cpu:fp32",
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
            hint="`--gate report` publishes it anyway, marked as not validated",
        )


def withheld_lines(manifest: Manifest) -> list[str]:
    """A line for each withheld variant, with the reason."""
    return [f"{variant.name} is withheld: {variant.reason}" for variant in manifest.withheld]


def sentence(verdict: Verdict) -> str:
    """The observed value of `verdict` and its limit, as a sentence."""
    observed, limit = apart(verdict.observed, verdict.limit, digits=4)
    return f"{verdict.check} is {observed}, must be {verdict.comparison} {limit} {verdict.unit}"
