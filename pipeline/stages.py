"""The stages that leave something in the work folder: what each depends on, and what it writes.

PyTorch and the engines are imported where a stage runs, so that a build with nothing to do starts at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import Manifest, Variant

from model_src import folder as checkpoint_folder
from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline import assemble, collector, digests, spans, versions
from pipeline import compile as targets
from pipeline.interface import Interface
from pipeline.recipe import Recipe, VariantName, answer_limits, limits, timing_limits
from pipeline.work import Stage, Talk, WorkFolder
from validation.data import demo_texts

if TYPE_CHECKING:
    from validation.report import Report
    from validation.speed import Timed

GRAPH = "model.onnx"
INTERFACE = "interface.json"
VARIANT = "variant.json"
REPORT = "report.json"
TIMING = "timing.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The checkpoint's files and their digests; the model's and the tokenizer's apart, since export needs no text."""

    checkpoint: CheckpointFolder
    model: Mapping[str, str]
    tokenizer: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all the files."""
        return digests.of_value([self.model, self.tokenizer])


def load(recipe: Recipe) -> Source:
    """Find the recipe's checkpoint and digest its files; CheckpointError for what is not there or cannot be read."""
    checkpoint = checkpoint_folder.find(recipe.checkpoint)

    def digested(paths: Sequence[Path]) -> dict[str, str]:
        return {path.name: _digest(path) for path in paths}

    return Source(
        checkpoint=checkpoint,
        model=digested((checkpoint.config, *checkpoint.weights)),
        tokenizer=digested(checkpoint.tokenizer),
    )


def _digest(path: Path) -> str:
    try:
        return digests.of_file(path)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause


def export(work: WorkFolder, recipe: Recipe, source: Source) -> Stage:
    """The ONNX graph and its interface."""

    @collector.paused()
    def make(folder: Path) -> None:
        from model_src.checkpoint import load_checkpoint
        from pipeline import export, graph

        # Eager attention exports to the plain operators that every later rewrite starts from.
        loaded = load_checkpoint(source.checkpoint.path, head=recipe.head, attention="eager")
        axes = spans.complete(recipe.spans, loaded.model.axes, loaded.config.max_position_embeddings)
        exported = export.export(loaded.model, axes)
        # Weights in a file of their own, which later stages map and need not read whole
        graph.save(exported, folder / GRAPH, largest_single_file=0)
        Interface(
            head=loaded.head,
            architecture=loaded.model.architecture,
            labels=loaded.config.labels,
            problem_type=loaded.config.problem_type,
            inputs=tuple(map(graph.describe, exported.graph.inputs)),
            outputs=tuple(map(graph.describe, exported.graph.outputs)),
            spans=axes,
        ).write(folder / INTERFACE)

    return work.stage(
        "export",
        doing="loading the checkpoint and exporting it to ONNX",
        inputs={
            "model": source.model,
            "head": recipe.head,
            "spans": {axis: asdict(span) for axis, span in recipe.spans.items()},
            "tools": versions.of("torch", "onnx", "onnx-ir", "onnxscript", "safetensors"),
            "source": versions.source(
                "model_src",
                "pipeline.export",
                "pipeline.graph",
                "pipeline.naming",
                "pipeline.onnx_file",
                "pipeline.spans",
                "distilforge.machine.onnx_bytes",
            ),
        },
        make=make,
    )


def compile_variant(
    work: WorkFolder, recipe: Recipe, source: Source, variant: VariantName, exported: Stage
) -> Stage:
    """The files of one variant, and variant.json, which is the manifest's entry for it so far."""
    interface = Interface.read(exported.folder / INTERFACE)
    plan = recipe.plan(variant, interface.head)

    @collector.paused()
    def make(folder: Path) -> None:
        from pipeline import calibration, variants
        from pipeline.quantize import when_asked

        feeds = when_asked(
            lambda: calibration.feeds(
                source.checkpoint.path, interface.head, interface.spans, recipe.calibration
            )
        )
        target = targets.find(variant.target, variant.precision)
        made = variants.make(exported.folder / GRAPH, plan, feeds, target, variant.precision, folder)
        (folder / VARIANT).write_text(made.to_json(), encoding="utf-8")

    texts = (recipe.calibration or demo_texts(interface.head, "calibration")) if plan.scheme else None
    return work.stage(
        "compile",
        doing=f"compiling for {variant}",
        inputs={
            "export": exported.digest,
            "variant": str(variant),
            "plan": plan.to_json(),
            "calibration": digests.of_file(texts) if texts else None,
            "tokenizer": source.tokenizer if plan.scheme else None,
            "tools": versions.of("onnx", "onnx-ir", "onnxscript", "onnxruntime", "tokenizers"),
            "source": versions.source(
                "pipeline.calibration",
                "pipeline.compile",
                "pipeline.fuse",
                "pipeline.graph",
                "pipeline.naming",
                "pipeline.nodes",
                "pipeline.onnx_file",
                "pipeline.passes",
                "pipeline.quantize",
                "pipeline.tokenizer",
                "pipeline.transform",
                "pipeline.variants",
                "validation.batches",
                "validation.data",
                "validation.tasks",
                "distilforge.machine.onnx_bytes",
                "distilforge.tokenizer",
            ),
        },
        make=make,
    )


def candidate(
    work: WorkFolder, recipe: Recipe, source: Source, exported: Stage, compiled: Sequence[Stage]
) -> Stage:
    """A release folder that nobody has validated yet."""
    recipe_sha256 = recipe.digest

    def make(folder: Path) -> None:
        variants = [
            (Variant.from_json((stage.folder / VARIANT).read_text(encoding="utf-8"), VARIANT), stage.folder)
            for stage in compiled
        ]
        assemble.assemble(
            name=recipe.name,
            checkpoint=source.checkpoint,
            checkpoint_sha256=source.digest,
            recipe_sha256=recipe_sha256,
            interface=Interface.read(exported.folder / INTERFACE),
            compiled=variants,
            folder=folder,
        )

    return work.stage(
        "assemble",
        doing="putting the release folder together",
        inputs={
            "name": recipe.name,
            "recipe": recipe_sha256,
            "model": source.model,
            "tokenizer": source.tokenizer,
            "export": exported.digest,
            "compiled": [stage.digest for stage in compiled],
            "tools": versions.of("tokenizers"),
            "source": versions.source("pipeline.assemble", "pipeline.tokenizer", "pipeline.interface"),
        },
        make=make,
    )


def compare(work: WorkFolder, recipe: Recipe, source: Source, made: Stage, talk: Talk) -> Stage:
    """validation's report on the answers of every variant."""

    def make(folder: Path) -> None:
        from validation.validate import validate

        report = validate(
            made.folder,
            source.checkpoint.path,
            manifest.head,
            evaluation=recipe.evaluation,
            gates=recipe.gates,
            progress=talk.note,
        )
        for note in report.notes:
            talk.note(note)
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
                "torch", "onnxruntime", "tokenizers", "numpy", "scipy", "seqeval", "torchmetrics"
            ),
            "source": versions.source("validation", "distilforge", "model_src"),
        },
        make=make,
    )


def time(work: WorkFolder, recipe: Recipe, source: Source, made: Stage, talk: Talk) -> Stage | None:
    """How long eager PyTorch and every variant take; None where the recipe skips it.

    A timing depends on the moment: what was not steady, or showed that a limit is not met, is taken again.
    """
    if recipe.gates.latency == "skip":
        return None
    manifest = assemble.read_manifest(made.folder)

    def make(folder: Path) -> None:
        from validation import speed

        timed = speed.measure(
            made.folder,
            manifest,
            source.checkpoint.path,
            vocabulary=source.checkpoint.configuration().vocab_size,
            gates=recipe.gates,
            progress=talk.note,
        )
        if timed is not None:
            (folder / TIMING).write_text(timed.to_json(), encoding="utf-8")

    def stays(folder: Path) -> bool:
        from validation import speed

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
            "tools": versions.of("torch", "onnxruntime", "numpy"),
            "source": versions.source(
                "distilforge", "model_src", "validation.speed", "validation.eager", "validation.eager_subject"
            ),
        },
        make=make,
        stays=stays,
    )


def validate(work: WorkFolder, recipe: Recipe, made: Stage, compared: Stage, timed: Stage | None) -> Stage:
    """The whole report, and the candidate's manifest with its verdicts."""

    def make(folder: Path) -> None:
        from validation import speed
        from validation.report import Report

        manifest = assemble.read_manifest(made.folder)
        answers = Report.from_json((compared.folder / REPORT).read_text(encoding="utf-8"), REPORT)
        timing = read_timing(timed.folder) if timed is not None else None
        report = speed.judge(answers, manifest.variants, timing, recipe.gates)
        (folder / REPORT).write_text(report.to_json(), encoding="utf-8")
        assemble.write_manifest(judged(manifest, report), folder)

    return work.stage(
        "validate",
        doing="holding what was found against the limits",
        inputs={
            "candidate": made.digest,
            "compared": compared.digest,
            "timed": timed.digest if timed is not None else None,
            "gates": limits(recipe.gates),
            "source": versions.source("validation", "distilforge", "pipeline.assemble"),
        },
        make=make,
    )


def read_timing(folder: Path) -> "Timed | None":
    """The timing in the stage's `folder`; None where no variant could be timed."""
    from validation.speed import Timed

    path = folder / TIMING
    return Timed.from_json(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None


def judged(manifest: Manifest, report: "Report") -> Manifest:
    """`manifest` with what validation found about each of its variants, and without those that it withholds."""
    by_name = {one.name: one for one in report.variants}
    complete = replace(
        manifest,
        timing=report.timing,
        variants=tuple(
            replace(
                variant,
                notes=(*variant.notes, *by_name[variant.name].notes),
                validated=by_name[variant.name].passed and all(variant.verdicts),
                metrics=by_name[variant.name].metrics,
                verdicts=(*variant.verdicts, *by_name[variant.name].verdicts),
                measurements=by_name[variant.name].measurements,
            )
            for variant in manifest.variants
        ),
    )
    return assemble.without(complete, {one.name: one.withheld for one in report.variants if one.withheld})


def _content(manifest: Manifest) -> str:
    """Digest of a candidate, leaving out when and where it was put together."""
    values = asdict(manifest)
    del values["provenance"]
    return digests.of_value(values)
