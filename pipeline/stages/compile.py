"""Compile: the plan of a variant is applied to the exported graph, and its target compiles the result."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import targets
from pipeline.graph import collector
from pipeline.graph.interface import Interface
from pipeline.precision import schemes
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.stages.export import GRAPH, INTERFACE
from pipeline.stages.load import Source
from pipeline.store import dependencies, digests, versions
from pipeline.store.work import Stage, WorkFolder
from validation.data import demo_texts

if TYPE_CHECKING:
    from pipeline.precision import Calibration

VARIANT = "variant.json"
SEED = 0
"""The seed with which evaluation texts are drawn, the same in every build."""


def compile_variant(
    work: WorkFolder, recipe: Recipe, source: Source, variant: VariantName, exported: Stage
) -> Stage:
    """The stage with the files of one variant and variant.json, the start of its entry in the manifest."""
    interface = Interface.read(exported.folder / INTERFACE)
    plan = recipe.plan(variant, interface.head)
    reads_evaluation = bool(plan.scheme) and schemes.find(plan.scheme).reads_evaluation
    evaluation = recipe.evaluation if reads_evaluation else None

    @collector.paused()
    def make(folder: Path) -> None:
        from pipeline.precision import CalibrationAndEvaluation, lazy_calibration
        from pipeline.stages import calibration, transform

        checkpoint = source.checkpoint.root
        calibrated = lazy_calibration(
            lambda: calibration.feeds(checkpoint, interface.head, interface.spans, recipe.calibration)
        )
        feeds: Calibration = calibrated
        if evaluation is not None:
            feeds = CalibrationAndEvaluation(
                calibration=calibrated,
                evaluation=lazy_calibration(
                    lambda: calibration.feeds(
                        checkpoint,
                        interface.head,
                        interface.spans,
                        evaluation,
                        most=calibration.MOST_PROVEN,
                        seed=SEED,
                    )
                ),
            )
        target = targets.find(variant.target, variant.precision)
        entry = transform.make_variant(
            exported.folder / GRAPH, plan, feeds, target, variant.precision, folder
        )
        (folder / VARIANT).write_text(entry.to_json(), encoding="utf-8")

    texts = (recipe.calibration or demo_texts(interface.head, "calibration")) if plan.scheme else None
    return work.stage(
        "compile",
        doing=f"compiling for {variant}",
        inputs={
            "export": exported.digest,
            "variant": str(variant),
            "plan": plan.to_json(),
            "calibration": digests.of_file(texts) if texts else None,
            "evaluation": digests.of_file(evaluation) if evaluation else None,
            "tokenizer": source.tokenizer if plan.scheme else None,
            "tools": versions.of(
                *("onnx", "onnx-ir", "onnxscript", "onnxruntime", "tokenizers"),
                *targets.packages_of([variant.target]),
            ),
            "source": dependencies.digest_of(make),
        },
        make=make,
    )
