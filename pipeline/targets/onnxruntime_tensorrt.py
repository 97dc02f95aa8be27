"""ONNX Runtime's provider for TensorRT: engines for the device that they are compiled on."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import ONNXRUNTIME_TENSORRT
from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    ONNXRUNTIME_TENSORRT.target,
    precisions=("fp32", "fp16", "int8"),
    domains=frozenset({""}),
    packages=("onnxruntime", ONNXRUNTIME_TENSORRT.package, "polygraphy"),
    engine=ONNXRUNTIME_TENSORRT,
)
def compile_onnxruntime_tensorrt(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write the graph that the engine is made of."""
    return onnx_graph.write(graph, ONNXRUNTIME_TENSORRT.graph_file(precision), folder)
