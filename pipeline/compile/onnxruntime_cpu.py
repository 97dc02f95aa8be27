"""ONNX Runtime on the CPU: the graph itself is the artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.compile import target

if TYPE_CHECKING:
    from pipeline.graph import Graph

# Where Optimum, transformers.js and plain onnxruntime look for each precision
_FILES = {"fp32": "onnx/model.onnx"}


@target(
    "onnxruntime-cpu",
    precisions=tuple(_FILES),
    domains=frozenset({"", "com.microsoft"}),
    packages=("onnxruntime",),
)
def compile_onnxruntime_cpu(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` where clients look for it, and load it once as proof that ONNX Runtime has every operator."""
    import onnxruntime

    from pipeline.graph import save

    path = folder / _FILES[precision]
    names = save(graph, path)
    onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return tuple((Path(_FILES[precision]).parent / name).as_posix() for name in names)
