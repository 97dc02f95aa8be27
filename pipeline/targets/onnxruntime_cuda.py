"""ONNX Runtime on an NVIDIA GPU: the graph itself is the artifact. Without a GPU, the CPU runs it to validate it."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

# Where Optimum, transformers.js and plain onnxruntime look for it
_FILES = {"fp16": "onnx/model_fp16.onnx"}


@target(
    "onnxruntime-cuda",
    precisions=tuple(_FILES),
    domains=frozenset({"", "com.microsoft"}),
    packages=("onnxruntime",),
    device=True,
)
def compile_onnxruntime_cuda(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` where clients look for it, and load it on the CPU as a proof that every operator is known."""
    return onnx_graph.write(graph, _FILES[precision], folder)
