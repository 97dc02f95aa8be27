"""Tiny models whose heads are wide enough for TensorRT's fused attention, and their graphs for the compilers."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnx_ir
import torch
from distilforge.manifest import Span

from model_src import heads
from model_src.initialize import initialize
from pipeline.recipe import spans
from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from pipeline.targets import onnx_graph
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.exports import export
from tests.graphs import CONFIG, calibration

# TensorRT-RTX fuses attention in fp16 for heads of 16 values and more
WIDE = replace(CONFIG, n_heads=2)

_FOLDER = TemporaryDirectory(prefix="engine-graphs-")


def axes(head: str) -> dict[str, Span]:
    """The spans of `head` that these tests compile for."""
    return spans.complete(
        {"sequence": Span(low=2, usual=12, high=24)}, heads.find(head).axes, WIDE.max_position_embeddings
    )


@cache
def _exported(head: str) -> bytes:
    torch.manual_seed(3)
    config = replace(WIDE, labels=WIDE.labels[:2] if head == "question_answering" else WIDE.labels)
    model = heads.find(head)(config, "eager").eval()
    initialize(model, config)
    return onnx_ir.to_proto(export(model, axes(head))).SerializeToString()


@cache
def graph_file(head: str, precision: str) -> Path:
    """The ONNX file that TensorRT-RTX is given of the tiny model of `head`, by the committed plans."""
    graph = onnx_ir.from_proto(onnx.load_from_string(_exported(head)))
    transform(graph, preset(TENSORRT_RTX.target, precision, head), calibration(head))
    folder = Path(_FOLDER.name) / f"{head}-{precision}"
    (name,) = onnx_graph.write(graph, TENSORRT_RTX.graph_file(precision), folder)
    return folder / name
