"""Writes a graph as an ONNX file, and loads it once as a proof that ONNX Runtime knows every operator in it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


def write(graph: "Graph", file: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` to `file` in `folder`; the files written, relative to `folder`, the one to load first.

    Raises ONNX Runtime's own error where its CPU provider cannot load the graph.
    """
    import onnxruntime
    from distilforge.onnxruntime.engine import SILENT

    from pipeline.graph.file import save

    path = folder / file
    names = save(graph, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    # The session is not run. Repacking weights or folding constants would keep them in memory twice.
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return tuple((Path(file).parent / name).as_posix() for name in names)
