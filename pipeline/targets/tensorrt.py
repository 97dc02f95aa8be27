"""TensorRT: engines for the device that they are compiled on, in data centres and on Jetson."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import TENSORRT
from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    TENSORRT.target,
    precisions=("fp32", "fp16", "int8", "fp8"),
    domains=frozenset({""}),
    packages=("onnxruntime", TENSORRT.package, "polygraphy"),
    engine=TENSORRT,
)
def compile_tensorrt(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write the graph that the engine is made of."""
    return onnx_graph.write(graph, TENSORRT.graph_file(precision), folder)
