"""Validate: compare answers with eager PyTorch's, time all variants, and check both against the recipe's limits.

The comparison depends on its inputs alone, so its result is kept. A timing also depends on the moment.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import Manifest, Variant, proves_validity

from pipeline import targets
from pipeline.recipe.recipe import Recipe, answer_limits, limits, timing_limits
from pipeline.release import assemble, gate
from pipeline.stages import token_ids
from pipeline.stages.load import Source
from pipeline.store import dependencies, digests, versions
from pipeline.store.work import ProgressListener, Stage, WorkFolder
from validation.data import demo_texts

if TYPE_CHECKING:
    from validation.latency.speed import ReleaseTiming
    from validation.reports.report import Report, VariantReport

REPORT = "report.json"
TIMING = "timing.json"


def compare(
    work: WorkFolder, recipe: Recipe, source: Source, made: Stage, listener: ProgressListener
) -> Stage:
    """The report on the answers of every variant."""

    def make(folder: Path) -> None:
        from validation.validate import validate

        report = validate(
            made.folder,
            source.checkpoint.root,
            manifest.head,
            evaluation=recipe.evaluation,
            gates=recipe.gates,
            progress=listener.note,
        )
        for note in report.notes:
            listener.note(note)
        (folder / REPORT).write_text(report.to_json(), encoding="utf-8")

    manifest = assemble.read_manifest(made.folder)
    texts = recipe.evaluation or demo_texts(manifest.head, "evaluation")
    return work.stage(
        "compare",
        doing="comparing with eager PyTorch",
        inputs={
            "candidate": _content(manifest),
            "model": source.model,
            "evaluation": digests.of_file(texts) if texts else None,
            "gates": answer_limits(recipe.gates),
            "host": versions.host(),
            "tools": versions.of(
                *("torch", "onnxruntime", "tokenizers", "numpy", "scipy", "seqeval", "torchmetrics"),
                *targets.packages_of(variant.target for variant in manifest.variants),
            ),
            "source": dependencies.digest_of(make),
        },
        make=make,
    )


def time(
    work: WorkFolder, recipe: Recipe, source: Source, made: Stage, listener: ProgressListener
) -> Stage | None:
    """The timing of eager PyTorch and every variant; None if the recipe skips it.

    A timing that was not steady, or that shows that a limit is not met, is repeated in the next build.
    """
    if recipe.gates.latency == "skip":
        return None
    manifest = assemble.read_manifest(made.folder)

    def make(folder: Path) -> None:
        from validation.latency import speed

        timed = speed.measure(
            made.folder,
            manifest,
            source.checkpoint.root,
            vocabulary=source.checkpoint.configuration().vocab_size,
            gates=recipe.gates,
            progress=listener.note,
        )
        if timed is not None:
            (folder / TIMING).write_text(timed.to_json(), encoding="utf-8")

    def is_reusable(folder: Path) -> bool:
        from validation.latency import speed

        timed = read_timing(folder)
        if timed is None:
            return True
        return timed.steadiness.steady and all(
            verdict
            for variant in manifest.variants
            for verdict in speed.speed_verdicts(variant, manifest.variants, timed, recipe.gates)
        )

    return work.stage(
        "time",
        doing="timing every variant and eager PyTorch in turns",
        inputs={
            "candidate": _content(manifest),
            "model": source.model,
            "gates": timing_limits(recipe.gates),
            "host": versions.host(),
            "tools": versions.of(
                *("torch", "onnxruntime", "numpy"),
                *targets.packages_of(variant.target for variant in manifest.variants),
            ),
            "source": dependencies.digest_of(make),
        },
        make=make,
        is_reusable=is_reusable,
    )


def validate(
    work: WorkFolder, recipe: Recipe, made: Stage, tokens: Stage, compared: Stage, timed: Stage | None
) -> Stage:
    """The whole report, and the candidate's manifest with the verdicts."""

    def make(folder: Path) -> None:
        from validation.latency import speed
        from validation.reports.report import Report
        from validation.token_ids.verdict import with_verdict

        manifest = assemble.read_manifest(made.folder)
        answers = Report.from_json((compared.folder / REPORT).read_text(encoding="utf-8"), REPORT)
        timing = read_timing(timed.folder) if timed is not None else None
        judged = speed.judge(answers, manifest.variants, timing, recipe.gates)
        report = with_verdict(judged, token_ids.read(tokens.folder))
        report = without_failed(report, [str(variant) for variant in recipe.optional])
        (folder / REPORT).write_text(report.to_json(), encoding="utf-8")
        assemble.write_manifest(with_results(manifest, report), folder)

    return work.stage(
        "validate",
        doing="checking the results against the limits",
        inputs={
            "candidate": made.digest,
            "tokens": tokens.digest,
            "compared": compared.digest,
            "timed": timed.digest if timed is not None else None,
            "gates": limits(recipe.gates),
            "optional": [str(variant) for variant in recipe.optional],
            "source": dependencies.digest_of(make),
        },
        make=make,
    )


def without_failed(report: "Report", optional: Sequence[str]) -> "Report":
    """`report` with the variants in `optional` withheld that failed a check."""

    def reason(result: "VariantReport") -> str:
        failed = [gate.sentence(verdict) for verdict in result.verdicts if not verdict]
        if result.name not in optional or not failed:
            return result.withheld
        return f"it is optional, and {len(failed)} of its {len(result.verdicts)} checks failed: {'; '.join(failed)}"

    return replace(
        report, variants=tuple(replace(result, withheld=reason(result)) for result in report.variants)
    )


def read_timing(folder: Path) -> "ReleaseTiming | None":
    """The timing in the stage's `folder`; None if no variant could be timed."""
    from validation.latency.speed import ReleaseTiming

    path = folder / TIMING
    return ReleaseTiming.from_json(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None


def with_results(manifest: Manifest, report: "Report") -> Manifest:
    """`manifest` with the report's results for each variant, and without the variants that are withheld."""
    reports = {result.name: result for result in report.variants}
    complete = replace(
        manifest,
        timing=report.timing,
        variants=tuple(_with_result(variant, reports[variant.name]) for variant in manifest.variants),
    )
    withheld = {result.name: result.withheld for result in report.variants if result.withheld}
    return assemble.withhold(complete, withheld)


def _with_result(variant: Variant, result: "VariantReport") -> Variant:
    """`variant` with the results of its validation beside what its compilation found."""
    verdicts = (*variant.verdicts, *result.verdicts)
    return replace(
        variant,
        notes=(*variant.notes, *result.notes),
        widened=result.widened,
        validated=proves_validity(verdicts),
        metrics=result.metrics,
        verdicts=verdicts,
        measurements=result.measurements,
    )


def _content(manifest: Manifest) -> str:
    """Digest of a candidate without its provenance, which says when and where it was assembled."""
    values = asdict(manifest)
    del values["provenance"]
    return digests.of_value(values)
