"""Exports of models, each made once for all tests and processes that need it: an export takes seconds.

An export is used again as long as the model, the spans, our sources and the versions of the tools are the same. Tests
that need a tiny graph take one of tests.graphs.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path

import onnx
import onnx_ir
from distilforge.manifest import Span
from filelock import FileLock

from model_src.heads.base import Head
from pipeline.graph.exporter import export as export_anew
from pipeline.graph.file import Graph
from pipeline.store import versions

# `make clean` removes it, and git ignores it
FOLDER = Path(__file__).parents[1] / ".pytest_cache" / "exports"

# No tensor depends on these fields of the configuration; the number of labels shows in the weights
_NOT_COMPUTED = ("labels", "problem_type")


def export(model: Head, spans: Mapping[str, Span]) -> Graph:
    """The result of pipeline.graph.exporter.export, as a graph of its own for the caller to change."""
    return onnx_ir.from_proto(onnx.load_from_string(exported(model, spans)))


def exported(model: Head, spans: Mapping[str, Span]) -> bytes:
    """The same graph as a serialized ModelProto."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{_digest(model, spans)}.onnx"
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            aside = path.with_suffix(f".{os.getpid()}")
            aside.write_bytes(onnx_ir.to_proto(export_anew(model, spans)).SerializeToString())
            aside.replace(path)
        return path.read_bytes()


def _digest(model: Head, spans: Mapping[str, Span]) -> str:
    """A digest of everything that an export depends on."""
    digest = hashlib.sha256(_sources().encode())
    attention = type(model.distilbert.attention)
    sizes = [
        (field.name, getattr(model.config, field.name))
        for field in fields(model.config)
        if field.name not in _NOT_COMPUTED
    ]
    digest.update(repr((str(model), sizes, attention, model.training, sorted(spans.items()))).encode())
    for name, values in sorted(model.state_dict().items()):
        digest.update(repr((name, values.dtype, values.shape)).encode())
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


@cache
def _sources() -> str:
    tools = versions.of("torch", "onnx", "onnx-ir", "onnxscript", "numpy")
    modules = (f"pipeline.graph.{name}" for name in ("exporter", "builder", "values", "names", "file"))
    return repr((versions.source("model_src", *modules), tools))
