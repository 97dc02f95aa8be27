"""A release's ONNX graph, with a manifest that lists it as it is: opened and run."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import distilforge
import onnx
from distilforge import DistilforgeError
from distilforge.manifest import Variant
from distilforge.onnxruntime import contexts, sizes
from onnx import TensorProto, helper

from tests.fuzz import samples
from tests.fuzz.mutations import damage, protocol_buffer
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use
from tests.runtime_release import GRAPH, record_again

_CONTEXT = "context.onnx"


def _samples(folder: Path) -> Sequence[Input]:
    """The release's graph, and one with an engine that a provider of ONNX Runtime would load."""
    node = helper.make_node(
        "EPContext",
        ["input_ids"],
        ["logits"],
        domain="com.microsoft",
        embed_mode=0,
        ep_cache_context="a.engine",
    )
    values = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch"]) for name in ("input_ids", "logits")
    ]
    graph = helper.make_graph([node], "graph", values[:1], values[1:])
    context = helper.make_model(graph).SerializeToString()
    return (*samples.read(folder / samples.RELEASE, GRAPH), Input(name=_CONTEXT, content=context))


def _mutate(sample: Input, choices: Choices) -> bytes:
    if choices.once_in(5):
        return damage.damaged(sample.content, choices)
    return protocol_buffer.changed(onnx.load_from_string(sample.content), choices)


def _prepare(folder: Path, work: Path) -> Reader:
    release = work / "release"
    shutil.copytree(folder / samples.RELEASE, release)
    variant = Variant(target="onnxruntime-rtx", precision="fp16", files=(_CONTEXT, "a.engine"))

    def uses(value: Input) -> Sequence[Use]:
        (work / _CONTEXT).write_bytes(value.content)
        own = (lambda: contexts.check(work, variant), lambda: _sizes(work / _CONTEXT))
        if value.name == _CONTEXT:
            return own
        (release / GRAPH).write_bytes(value.content)
        record_again(release)
        return (*own, lambda: distilforge.open(release, threads=1)(["the film was good", "a"]))

    return uses


def _sizes(path: Path) -> None:
    try:
        sizes.names(path)
    except ValueError as error:
        raise _NoGraphError from error


class _NoGraphError(Exception):
    """The file is not an ONNX file, says distilforge.onnxruntime.sizes, which reads what an engine has loaded."""


TARGET = Target(errors=(DistilforgeError, _NoGraphError), samples=_samples, mutate=_mutate, prepare=_prepare)
