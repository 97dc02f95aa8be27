"""ONNX Runtime on an NVIDIA GPU: the graph itself is the artifact, and where there is no GPU, its own oracle."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.compile import target

if TYPE_CHECKING:
    from pipeline.graph import Graph

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
    """Write `graph` where clients look for it, and load it on the CPU as proof that ONNX Runtime has every operator."""
    import onnxruntime

    from pipeline.graph import save

    path = folder / _FILES[precision]
    names = save(graph, path)
    options = onnxruntime.SessionOptions()
    # Nothing is run here: neither weights laid out anew nor constants folded, which would hold them twice
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return tuple((Path(_FILES[precision]).parent / name).as_posix() for name in names)
