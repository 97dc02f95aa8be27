"""A graph written where a release has it, and loaded once: proof that ONNX Runtime has every operator in it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


def write(graph: "Graph", file: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` to `file` in `folder`; its files, relative to `folder`, the one to load first.

    Raises what ONNX Runtime's CPU provider raises where it cannot load it.
    """
    import onnxruntime

    from pipeline.graph.file import save

    path = folder / file
    names = save(graph, path)
    options = onnxruntime.SessionOptions()
    # Nothing is run here: neither weights laid out anew nor constants folded, which would hold them twice
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return tuple((Path(file).parent / name).as_posix() for name in names)
