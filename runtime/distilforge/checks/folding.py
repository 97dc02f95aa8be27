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

from distilforge.checks import attributes, constants
from distilforge.checks.constants import Constant
from distilforge.checks.functions import KEY_OF_FUNCTION, KEY_OF_NODE, MOST_BRANCHES, Key, key_of
from distilforge.onnx_fields import Bytes, fields, mapped, name

MOST_VALUES = 1 << 26
"""The most values that constants may compute, besides MOST_PER_BYTE for each byte of weights."""
MOST_PER_BYTE = 4
"""INT8 weights are dequantized and transposed: two values for each byte."""

_ENDLESS = frozenset(("Loop", "Scan", "SequenceMap"))
_GRAPHS = frozenset((attributes.GRAPH, attributes.GRAPHS))
_SPARSE = frozenset((attributes.SPARSE, attributes.SPARSES))
_OWN_DOMAINS = frozenset(("", "com.microsoft"))

# The constants among the values of a graph and of those around it; None for other values
_Scope = ChainMap[str, Constant | None]


def check(path: Path, stored_bytes: int) -> None:
    """Raise ValueError if the constants of the ONNX file `path` compute too much, or if the file has a loop.

    `stored_bytes` is the size of the file and of those with its weights. `checks.functions` must have counted the
    functions, since each call is followed. Raises OSError if the file cannot be read.
    """
    graph: Bytes | None = None
    functions: dict[Key, _Function] = {}
    for number, value in fields(memoryview(mapped(path))):
        if isinstance(value, int):
            continue
        if number == 7:
            if graph is not None:
                # Some readers merge them
                raise ValueError("it has two graphs")
            graph = value
        elif number == 25:
            function = _function(value)
            if function.key in functions or function.key[0] in _OWN_DOMAINS:
                raise ValueError(f"a function of it defines the operator {function.key[1]!r:.200} again")
            functions[function.key] = function
    folding = _Folding(functions, MOST_VALUES + MOST_PER_BYTE * stored_bytes)
    if graph is not None:
        folding.graph(graph, ChainMap(), MOST_BRANCHES)


@dataclass(frozen=True, slots=True)
class _Node:
    key: Key
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[Bytes, ...]
    fields: frozenset[int]
    """The fields that have their values, as in `attributes.field_of`."""

    @property
    def operator(self) -> str:
        return self.key[1]

    def __str__(self) -> str:
        return f"the node {self.name!r:.200} ({self.operator!s:.200})"


@dataclass(frozen=True, slots=True)
class _Function:
    key: Key
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[_Node, ...]
    defaults: tuple[Bytes, ...]
    """The attributes that it has where a call leaves them out."""


@dataclass
class _Folding:
    """Follows the constants of a model through its nodes."""

    functions: Mapping[Key, _Function]
    """The functions of the model."""
    most: int
    """The most values that constants may compute."""
    computed: int = 0
    """How many they compute so far."""
    passed: int = 1
    """At most how many values an attribute has that a function is called with: fewer than bytes."""

    def graph(self, graph: Bytes, scope: _Scope, levels: int) -> list[Constant | None]:
        """Add the values of a graph to `scope`, and return its outputs."""
        if levels == 0:
            raise ValueError(f"its graphs are nested more than {MOST_BRANCHES} deep")
        nodes: list[_Node] = []
        outputs: list[str] = []
        weights: dict[str, Constant] = {}
        for number, value in fields(graph):
            if isinstance(value, int):
                continue
            if number == 1:
                nodes.append(_node(value))
            elif number == 5:
                _store(weights, *constants.tensor(value))
            elif number == 11:
                scope.setdefault(_name(value), None)
            elif number == 12:
                outputs.append(_name(value))
            elif number == 15:
                weight, constant = constants.sparse_tensor(value)
                self._count(constant.elements, f"the sparse weight {weight!r:.200}")
                _store(weights, weight, constant)
        scope.update(weights)
        self._follow(nodes, scope, levels)
        return [scope.get(output) for output in outputs]

    def _follow(self, nodes: Sequence[_Node], scope: _Scope, levels: int) -> None:
        for node in nodes:
            for read in node.inputs:
                if read and read not in scope:
                    raise ValueError(f"{node} reads {read!r:.200}, which is nowhere before it")
            for output in node.outputs:
                if output and output in scope.maps[0]:
                    raise ValueError(f"{node} gives {output!r:.200}, which is there before it")
            found = self._outputs(node, scope, levels)
            missing = [None] * (len(node.outputs) - len(found))
            scope.update(zip(node.outputs, (*found, *missing), strict=False))

    def _outputs(self, node: _Node, scope: _Scope, levels: int) -> Sequence[Constant | None]:
        """The outputs of a node; those that are left out are not constants."""
        if node.operator in _ENDLESS:
            raise ValueError(f"{node} is a loop, which may run without end")
        is_call = node.key in self.functions
        if node.fields & _GRAPHS and (is_call or node.operator != "If"):
            raise ValueError(f"{node} has a graph in it, which only the operator If may have")
        inputs = [scope[read] for read in node.inputs if read]
        if is_call:
            return self._call(node, [scope.get(read) for read in node.inputs], levels)
        if node.operator == "If":
            branches = self._branches(node, scope, levels)
            return branches if inputs and inputs[0] is not None else ()
        if node.operator == "Constant":
            constant, is_sparse = constants.of_attributes(node.attributes, self.passed)
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

    def _call(self, node: _Node, inputs: Sequence[Constant | None], levels: int) -> list[Constant | None]:
        function = self.functions[node.key]
        if node.fields & _SPARSE or any(attributes.field_of(value) in _SPARSE for value in function.defaults):
            raise ValueError(f"{node} passes a sparse constant to a function, which is not followed")
        self.passed = max(
            self.passed, *(sum(map(len, given)) for given in (node.attributes, function.defaults))
        )
        scope: _Scope = ChainMap(dict.fromkeys(function.inputs))
        scope.update(zip(function.inputs, inputs, strict=False))
        self._follow(function.nodes, scope, levels)
        return [scope.get(output) for output in function.outputs]

    def _branches(self, node: _Node, scope: _Scope, levels: int) -> list[Constant | None]:
        """The larger output of both branches each, of those that are constants."""
        graphs = [
            value
            for number, value in chain.from_iterable(map(fields, node.attributes))
            if number == attributes.GRAPH and not isinstance(value, int)
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


def _store(weights: dict[str, Constant], weight: str, constant: Constant) -> None:
    """Add a weight; ValueError where there is one of its name, of which engines take one or the other."""
    if weight in weights:
        raise ValueError(f"it has two weights of the name {weight!r:.200}")
    weights[weight] = constant


def _node(message: Bytes) -> _Node:
    inputs, outputs, given = [], [], []
    texts: dict[int, str] = {}
    for number, value in fields(message):
        if isinstance(value, int):
            continue
        if number == 1:
            inputs.append(name(value))
        elif number == 2:
            outputs.append(name(value))
        elif number == 5:
            given.append(value)
        elif number == 3 or number in KEY_OF_NODE:
            texts[number] = name(value)
    kinds = frozenset(map(attributes.field_of, given))
    return _Node(
        key_of(texts, KEY_OF_NODE), texts.get(3, ""), tuple(inputs), tuple(outputs), tuple(given), kinds
    )


def _function(message: Bytes) -> _Function:
    inputs, outputs, nodes, defaults = [], [], [], []
    texts: dict[int, str] = {}
    for number, value in fields(message):
        if isinstance(value, int):
            continue
        if number == 4:
            inputs.append(name(value))
        elif number == 5:
            outputs.append(name(value))
        elif number == 7:
            nodes.append(_node(value))
        elif number == 11:
            defaults.append(value)
        elif number in KEY_OF_FUNCTION:
            texts[number] = name(value)
    return _Function(
        key_of(texts, KEY_OF_FUNCTION), tuple(inputs), tuple(outputs), tuple(nodes), tuple(defaults)
    )


def _name(message: Bytes) -> str:
    """The name of an input or output: the last, where it is written twice."""
    names = [name(value) for number, value in fields(message) if number == 1 and not isinstance(value, int)]
    return names[-1] if names else ""
