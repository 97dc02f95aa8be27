"""Bounds what an engine computes from the constants of an ONNX file while it loads the file.

Engines replace a node whose inputs are all constants by its result. A shape of a few bytes can then become gigabytes.
The bounds here are never lower than what an engine computes, and where none is known, the file is refused. What depends
on a graph's inputs is not followed.
ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto.
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from distilforge.checks import constants
from distilforge.checks.constants import Constant
from distilforge.onnx_fields import Bytes, fields, mapped, text

MOST_VALUES = 1 << 26
"""The most values that constants may compute, besides MOST_PER_BYTE for each byte of weights."""
MOST_PER_BYTE = 4
"""INT8 weights are dequantized and transposed: two values for each byte."""

_ENDLESS = frozenset(("Loop", "Scan", "SequenceMap"))
_OWN_DOMAINS = frozenset(("", "com.microsoft"))
_MOST_LEVELS = 64

# Domain, name and overload
_Key = tuple[str, str, str]
# The constants among the values of a graph and of those around it; None for other values
_Scope = ChainMap[str, Constant | None]


def check(path: Path, stored_bytes: int) -> None:
    """Raise ValueError if the constants of the ONNX file `path` compute too much, or if the file has a loop.

    `stored_bytes` is the size of the file and of those with its weights. `checks.functions` must have counted the
    functions, since each call is followed. Raises OSError if the file cannot be read.
    """
    graphs: list[Bytes] = []
    functions: dict[_Key, _Function] = {}
    for number, value in fields(memoryview(mapped(path))):
        if isinstance(value, int):
            continue
        if number == 7:
            graphs.append(value)
        elif number == 25:
            function = _function(value)
            if function.key in functions or function.key[0] in _OWN_DOMAINS:
                raise ValueError(f"a function of it defines the operator {function.key[1]!r:.200} again")
            functions[function.key] = function
    folding = _Folding(functions, MOST_VALUES + MOST_PER_BYTE * stored_bytes)
    scope: _Scope = ChainMap()
    for graph in graphs:
        folding.graph(graph, scope, _MOST_LEVELS)


@dataclass(frozen=True, slots=True)
class _Node:
    key: _Key
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[Bytes, ...]

    @property
    def operator(self) -> str:
        return self.key[1]

    def __str__(self) -> str:
        return f"the node {self.name!r:.200} ({self.operator!s:.200})"


@dataclass(frozen=True, slots=True)
class _Function:
    key: _Key
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[_Node, ...]


@dataclass
class _Folding:
    """Follows the constants of a model through its nodes."""

    functions: Mapping[_Key, _Function]
    """The functions of the model."""
    most: int
    """The most values that constants may compute."""
    computed: int = 0
    """How many they compute so far."""

    def graph(self, graph: Bytes, scope: _Scope, levels: int) -> list[Constant | None]:
        """Add the values of a graph to `scope`, and return its outputs."""
        if levels == 0:
            raise ValueError(f"its graphs are nested more than {_MOST_LEVELS} deep")
        nodes: list[_Node] = []
        outputs: list[str] = []
        for number, value in fields(graph):
            if isinstance(value, int):
                continue
            if number == 1:
                nodes.append(_node(value))
            elif number == 5:
                name, constant = constants.tensor(value)
                scope[name] = constant
            elif number == 11:
                scope.setdefault(_name(value), None)
            elif number == 12:
                outputs.append(_name(value))
            elif number == 15:
                name, constant = constants.sparse_tensor(value)
                self._count(constant.elements, f"the sparse weight {name!r:.200}")
                scope[name] = constant
        self._follow(nodes, scope, levels)
        return [scope.get(name) for name in outputs]

    def _follow(self, nodes: Sequence[_Node], scope: _Scope, levels: int) -> None:
        for node in nodes:
            for name in node.inputs:
                if name and name not in scope:
                    raise ValueError(f"{node} reads {name!r:.200}, which is nowhere before it")
            found = self._outputs(node, scope, levels)
            missing = [None] * (len(node.outputs) - len(found))
            scope.update(zip(node.outputs, (*found, *missing), strict=False))

    def _outputs(self, node: _Node, scope: _Scope, levels: int) -> Sequence[Constant | None]:
        """The outputs of a node; those that are left out are not constants."""
        if node.operator in _ENDLESS:
            raise ValueError(f"{node} is a loop, which may run without end")
        inputs = [scope[name] for name in node.inputs if name]
        if node.key in self.functions:
            return self._call(self.functions[node.key], [scope.get(name) for name in node.inputs], levels)
        if node.operator == "If":
            branches = self._branches(node, scope, levels)
            return branches if inputs and inputs[0] is not None else ()
        if node.operator == "Constant":
            constant, is_sparse = constants.of_attributes(node.attributes)
            if is_sparse:
                self._count(constant.elements, str(node))
            return (constant,)
        known = [value for value in inputs if value is not None]
        if not known or len(known) < len(inputs):
            return ()
        result = constants.result(node.operator, known, node.attributes)
        if result is None:
            raise ValueError(f"{node} computes a result of unknown size from constants alone")
        self._count(result.elements * len(node.outputs), str(node))
        return [result] * len(node.outputs)

    def _call(
        self, function: _Function, inputs: Sequence[Constant | None], levels: int
    ) -> list[Constant | None]:
        scope: _Scope = ChainMap(dict.fromkeys(function.inputs))
        scope.update(zip(function.inputs, inputs, strict=False))
        self._follow(function.nodes, scope, levels)
        return [scope.get(name) for name in function.outputs]

    def _branches(self, node: _Node, scope: _Scope, levels: int) -> list[Constant | None]:
        """The larger output of both branches each, of those that are constants."""
        graphs = [
            value
            for number, value in chain.from_iterable(map(fields, node.attributes))
            if number == 6 and not isinstance(value, int)
        ]
        outputs = [self.graph(graph, scope.new_child(), levels - 1) for graph in graphs]
        return [
            max(
                (value for value in either if value is not None),
                key=lambda value: value.elements,
                default=None,
            )
            for either in zip(*outputs, strict=False)
        ]

    def _count(self, values: int, where: str) -> None:
        self.computed += values
        if self.computed > self.most:
            raise ValueError(
                f"its constants compute more than {self.most:,} values, the limit for its size; {where} goes beyond"
            )


def _node(message: Bytes) -> _Node:
    inputs, outputs, attributes = [], [], []
    texts: dict[int, str] = {}
    for number, value in fields(message):
        if isinstance(value, int):
            continue
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number == 5:
            attributes.append(value)
        elif number in (3, 4, 7, 8):
            texts[number] = text(value)
    key = _key(texts.get(7, ""), texts.get(4, ""), texts.get(8, ""))
    return _Node(key, texts.get(3, ""), tuple(inputs), tuple(outputs), tuple(attributes))


def _function(message: Bytes) -> _Function:
    inputs, outputs, nodes = [], [], []
    texts: dict[int, str] = {}
    for number, value in fields(message):
        if isinstance(value, int):
            continue
        if number == 4:
            inputs.append(text(value))
        elif number == 5:
            outputs.append(text(value))
        elif number == 7:
            nodes.append(_node(value))
        elif number in (1, 10, 13):
            texts[number] = text(value)
    key = _key(texts.get(10, ""), texts.get(1, ""), texts.get(13, ""))
    return _Function(key, tuple(inputs), tuple(outputs), tuple(nodes))


def _key(domain: str, operator: str, overload: str) -> _Key:
    return "" if domain == "ai.onnx" else domain, operator, overload


def _name(message: Bytes) -> str:
    """The name of an input or output."""
    return next(
        (text(value) for number, value in fields(message) if number == 1 and not isinstance(value, int)), ""
    )
