"""Finds the nodes of an ONNX file that only compute sizes, without the onnx package, which applications do not have.

ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto. Weights are skipped.
"""

from dataclasses import dataclass
from pathlib import Path

from distilforge.onnx_fields import Bytes, fields, mapped, numbers, text

_SOURCES = frozenset(("Shape", "Size"))
_SMALL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of an ONNX file's nodes."""

    every: frozenset[str]
    """All of them."""
    sizes: frozenset[str]
    """Those of nodes whose values depend only on tensors' sizes and on small constants."""


def names(path: Path) -> Names:
    """The names of the nodes of the file `path`.

    The values of those that compute sizes are a few whole numbers that the host needs for launching kernels, so engines
    for devices compute them on the host. Raises ValueError where the file is not an ONNX model.
    """
    return _names(memoryview(mapped(path)))


def _names(model: Bytes) -> Names:
    nodes: list[_Node] = []
    small: set[str] = set()
    for number, value in fields(model):
        if number != 7 or isinstance(value, int):
            continue
        for kind, part in fields(value):
            if isinstance(part, int):
                continue
            if kind == 1:
                nodes.append(_node(part))
            elif kind == 5 and (name := _small_constant(part)) is not None:
                small.add(name)
            part.release()
        value.release()
    sizes: set[str] = set()
    names_of_nodes = []
    for node in nodes:  # an ONNX graph is sorted: a node comes after the nodes that feed it
        if node.operator == "Constant":
            small.update(node.outputs)
        inputs = [name for name in node.inputs if name]
        if node.operator in _SOURCES or (
            any(name in sizes for name in inputs) and all(name in sizes or name in small for name in inputs)
        ):
            sizes.update(node.outputs)
            names_of_nodes.append(node.name)
    return Names(every=frozenset(node.name for node in nodes), sizes=frozenset(names_of_nodes))


def _node(message: Bytes) -> _Node:
    inputs, outputs, texts = [], [], {3: "", 4: ""}
    for number, value in fields(message):
        if isinstance(value, int):
            continue
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number in texts:
            texts[number] = text(value)
        value.release()
    return _Node(name=texts[3], operator=texts[4], inputs=tuple(inputs), outputs=tuple(outputs))


def _small_constant(tensor: Bytes) -> str | None:
    """The name of a TensorProto with few elements; None for a larger one."""
    elements, name = 1, ""
    for number, value in fields(tensor):
        if number == 1:
            for size in numbers(value):
                elements = min(elements * size, _SMALL + 1)
        elif number == 8 and not isinstance(value, int):
            name = text(value)
        if not isinstance(value, int):
            value.release()
    return name if elements <= _SMALL else None
