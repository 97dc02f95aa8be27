"""ONNX Runtime's provider for OpenVINO, on the CPU: the graph itself is the artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    "onnxruntime-openvino",
    precisions=("fp32", "bf16", "int8", "int8_bf16", "int8_7bit"),
    domains=frozenset({""}),
    packages=("onnxruntime", "onnxruntime-ep-openvino"),
    plans="openvino",
)
def compile_onnxruntime_openvino(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` as an ONNX file, and load it once as a proof that ONNX Runtime knows every operator in it."""
    return onnx_graph.write(graph, f"openvino/onnxruntime_{precision}.onnx", folder)
