"""ONNX Runtime's provider for TensorRT-RTX: engines that are compiled ahead of time, without a device."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import ONNXRUNTIME_RTX
from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    ONNXRUNTIME_RTX.target,
    precisions=("fp32", "fp16", "int8"),
    domains=frozenset({""}),
    packages=("onnxruntime", ONNXRUNTIME_RTX.package, "polygraphy"),
    engine=ONNXRUNTIME_RTX,
)
def compile_onnxruntime_rtx(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write the graph that the engine is made of."""
    return onnx_graph.write(graph, ONNXRUNTIME_RTX.graph_file(precision), folder)
