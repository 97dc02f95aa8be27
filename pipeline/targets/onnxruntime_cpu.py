"""ONNX Runtime on the CPU: the graph itself is the artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

# Where Optimum, transformers.js and plain onnxruntime look for each precision
_FILES = {
    "fp32": "onnx/model.onnx",
    "int8": "onnx/model_quantized.onnx",
    "int8_7bit": "onnx/model_quantized_7bit.onnx",
}


@target(
    "onnxruntime-cpu",
    precisions=tuple(_FILES),
    domains=frozenset({"", "com.microsoft"}),
    packages=("onnxruntime",),
)
def compile_onnxruntime_cpu(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` where clients look for it, and load it once as a proof that ONNX Runtime knows every operator."""
    return onnx_graph.write(graph, _FILES[precision], folder)
