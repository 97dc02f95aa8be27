"""TensorRT-RTX: engines for RTX devices, compiled ahead of time without one."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import RTX
from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    RTX.target,
    precisions=("fp32", "fp16", "int8", "fp8"),
    domains=frozenset({""}),
    packages=("onnxruntime", RTX.package, "polygraphy"),
    engine=RTX,
)
def compile_tensorrt_rtx(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write the graph that the engine is made of."""
    return onnx_graph.write(graph, RTX.graph_file(precision), folder)
