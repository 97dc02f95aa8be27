"""The ONNX graph that a compiler of engines is given: precision written in it, and proved by ONNX Runtime."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import Flavour

if TYPE_CHECKING:
    from pipeline.graph import Graph

FOLDER = "tensorrt"
ENGINE_SUFFIX = ".engine"


def graph_name(flavour: Flavour, precision: str) -> str:
    """Where a release has the graph, relative."""
    return f"{FOLDER}/{flavour.prefix}-{precision}.onnx"


def engine_name(flavour: Flavour, precision: str) -> str:
    """Where a release has the engine made of it, relative."""
    return f"{FOLDER}/{flavour.prefix}-{precision}{ENGINE_SUFFIX}"


def write(graph: "Graph", flavour: Flavour, precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` for the compiler, and load it in ONNX Runtime, which answers with it where no device is.

    Returns the files, relative to `folder`, the one to load first.
    """
    import onnxruntime

    from pipeline.graph import save

    path = folder / graph_name(flavour, precision)
    names = save(graph, path)
    options = onnxruntime.SessionOptions()
    # Nothing is run here: neither weights laid out anew nor constants folded, which would hold them twice
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return tuple(f"{FOLDER}/{name}" for name in names)
