"""TensorRT: engines for the device that they are compiled on, in data centres and on Jetson."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.compile import target
from pipeline.engines import handover
from pipeline.engines.flavours import TENSORRT

if TYPE_CHECKING:
    from pipeline.graph import Graph


@target(
    TENSORRT.target,
    precisions=("fp32", "fp16", "int8"),
    domains=frozenset({""}),
    packages=("onnxruntime", TENSORRT.package, "polygraphy"),
    engine=TENSORRT,
)
def compile_tensorrt(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write the graph that the engine is made of."""
    return handover.write(graph, TENSORRT, precision, folder)
