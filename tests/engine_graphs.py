"""ONNX files for compilers of engines: tiny models whose heads are wide enough for TensorRT's fused attention."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from distilforge.manifest import Span

from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from pipeline.targets import onnx_graph
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests import graphs

# TensorRT-RTX fuses attention in fp16 for heads of 16 values and more
N_HEADS = 2
SEQUENCE = Span(low=2, usual=12, high=24)

_FOLDER = TemporaryDirectory(prefix="engine-graphs-")


def axes(head: str) -> dict[str, Span]:
    """The spans of `head` that these tests compile for."""
    return graphs.axes(head, sequence=SEQUENCE)


@cache
def graph_file(head: str, precision: str) -> Path:
    """The file for TensorRT-RTX of the tiny model of `head`, by the committed plans."""
    graph = graphs.exported(head, sequence=SEQUENCE, n_heads=N_HEADS)
    transform(graph, preset(TENSORRT_RTX.target, precision, head), graphs.calibration(head))
    folder = Path(_FOLDER.name) / f"{head}-{precision}"
    (name,) = onnx_graph.write(graph, TENSORRT_RTX.graph_file(precision), folder)
    return folder / name
