"""The stage that exports the checkpoint as an ONNX graph and writes the graph's interface.

PyTorch is imported inside the stage, so that a build with nothing to do starts fast.
"""

from dataclasses import asdict
from pathlib import Path

from pipeline.graph import collector
from pipeline.graph.interface import Interface
from pipeline.recipe import spans
from pipeline.recipe.recipe import Recipe
from pipeline.stages.load import Source
from pipeline.store import dependencies, versions
from pipeline.store.work import Stage, WorkFolder

GRAPH = "model.onnx"
INTERFACE = "interface.json"


def export(work: WorkFolder, recipe: Recipe, source: Source) -> Stage:
    """The stage whose folder holds the ONNX graph and its interface."""

    @collector.paused()
    def make(folder: Path) -> None:
        from model_src.checkpoint import load_checkpoint
        from pipeline.graph import exporter
        from pipeline.graph import file as graph_file

        # Eager attention exports to the plain operators that passes match.
        loaded = load_checkpoint(source.checkpoint.root, head=recipe.head, attention="eager")
        for remark in loaded.remarks:
            work.note(remark)
        axes = spans.complete(recipe.spans, loaded.model.axes, source.checkpoint.longest())
        exported = exporter.export(loaded.model, axes)
        # Weights go to a separate file, which later stages map into memory instead of reading it whole
        graph_file.save(exported, folder / GRAPH, largest_single_file_bytes=0)
        Interface(
            head=loaded.head,
            architecture=loaded.model.architecture,
            labels=loaded.config.labels,
            problem_type=loaded.config.problem_type,
            inputs=tuple(map(graph_file.describe, exported.graph.inputs)),
            outputs=tuple(map(graph_file.describe, exported.graph.outputs)),
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
            "source": dependencies.digest_of(make),
        },
        make=make,
    )
