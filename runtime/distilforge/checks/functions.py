"""Checks the functions of an ONNX file, before an engine expands them: replaces each call by the function's nodes.

A function can call another one twice, which calls the next one twice. A small file then stands for more nodes, or more
bytes of constants, than fit in memory. A graph that is passed to a function multiplies in the same way. A long chain of
calls overflows an engine's stack. ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distilforge.onnx_fields import Bytes, fields, mapped, name

MOST_NODES = 100_000
"""The most nodes of a model whose functions are expanded. A DistilBERT has some hundreds."""
MOST_BYTES = 1 << 28
"""The most bytes that the functions of a model may have, each counted as often as it is called."""
MOST_CALL_BYTES = 4096
"""The most bytes of a call, which a function may repeat, and of the default values of a function's attributes."""
MOST_LEVELS = 32
"""The most functions that call one another."""

Key = tuple[str, str, str]
"""Domain, name and overload, of a function and of a node that calls it."""
KEY_OF_FUNCTION, KEY_OF_NODE = (10, 1, 13), (7, 4, 8)
"""The fields that have them."""
MOST_BRANCHES = 64
"""The most graphs that are nested in one another."""
_GRAPH, _FUNCTION = 7, 25
_NODE_OF_GRAPH, _NODE_OF_FUNCTION = 1, 7
_ATTRIBUTE, _DEFAULT = 5, 11
_GRAPHS, _TYPE, _REFERENCE = (6, 11), 20, 21
_TYPES_OF_GRAPHS = (5, 10)


def check(path: Path) -> None:
    """Raise ValueError if the functions of the ONNX file `path` cannot be expanded, or if it is not an ONNX file.

    Raises OSError if it cannot be read.
    """
    model = [
        (number, value) for number, value in fields(memoryview(mapped(path))) if not isinstance(value, int)
    ]
    functions: dict[Key, _Nodes] = {}
    for number, value in model:
        if number == _FUNCTION:
            found = functions.setdefault(_key(value, KEY_OF_FUNCTION), _Nodes())
            found.add(value, _NODE_OF_FUNCTION, MOST_BRANCHES)
            found.bytes += len(value)
            _check_defaults(value)
    if not functions:
        return
    graph = _Nodes()
    for number, value in model:
        if number == _GRAPH:
            graph.add(value, _NODE_OF_GRAPH, MOST_BRANCHES)
    for nodes in (graph, *functions.values()):
        nodes.check_calls(functions)
    expansion = _Expansion(functions)
    size = sum((expansion.size(key) for key in functions), start=expansion.sum(graph, MOST_LEVELS))
    size.check()


@dataclass
class _Nodes:
    """The nodes of a graph or a function, and of the branches in it."""

    operators: Counter[Key] = field(default_factory=Counter)
    """How often each operator occurs."""
    longest: dict[Key, int] = field(default_factory=dict)
    """The bytes of the largest node of each operator."""
    bytes: int = 0
    """What counts for each expansion."""

    def add(self, graph: Bytes, nodes: int, levels: int) -> None:
        """Add the nodes of a graph or a function, whose field `nodes` has them."""
        if levels == 0:
            raise ValueError(f"its graphs are nested more than {MOST_BRANCHES} deep")
        for number, node in fields(graph):
            if isinstance(node, int) or number != nodes:
                continue
            key = _key(node, KEY_OF_NODE)
            self.operators[key] += 1
            self.longest[key] = max(len(node), self.longest.get(key, 0))
            for kind, attribute in fields(node):
                if not isinstance(attribute, int) and kind == _ATTRIBUTE:
                    _check_reference(attribute)
                    for part, branch in fields(attribute):
                        if not isinstance(branch, int) and part in _GRAPHS:
                            self.add(branch, _NODE_OF_GRAPH, levels - 1)

    def check_calls(self, functions: Mapping[Key, "_Nodes"]) -> None:
        """Raise ValueError where a function is called with attributes that are too large to be repeated."""
        largest = max((size for key, size in self.longest.items() if key in functions), default=0)
        if largest > MOST_CALL_BYTES:
            raise ValueError(
                f"a call of a function has {largest:,} bytes; at most {MOST_CALL_BYTES:,} are expanded"
            )


@dataclass(frozen=True)
class _Size:
    """What functions stand for."""

    nodes: int = 0
    bytes: int = 0

    def __add__(self, other: "_Size") -> "_Size":
        return _Size(self.nodes + other.nodes, self.bytes + other.bytes)

    def check(self) -> None:
        """Raise ValueError where it is too much."""
        if self.nodes > MOST_NODES:
            raise ValueError(f"its functions stand for more than {MOST_NODES:,} nodes, the limit")
        if self.bytes > MOST_BYTES:
            raise ValueError(f"its functions stand for more than {MOST_BYTES >> 20} MiB, the limit")


@dataclass(frozen=True)
class _Expansion:
    """What functions stand for once all calls in them are expanded."""

    functions: Mapping[Key, _Nodes]
    """The nodes of each function."""
    known: dict[Key, tuple[_Size, int]] = field(default_factory=dict)
    """The size of functions that were expanded before, and how deep their calls go."""

    def size(self, function: Key) -> _Size:
        """What `function` stands for. ValueError where that is too much, or calls go too deep."""
        return self._expand(function, MOST_LEVELS)[0]

    def sum(self, nodes: _Nodes, levels: int) -> _Size:
        """What `nodes` stand for; their calls may go `levels` deep."""
        total = _Size(0, nodes.bytes)
        for key, count in nodes.operators.items():
            size = self._expand(key, levels)[0] if key in self.functions else _Size(1, 0)
            total += _Size(count * size.nodes, count * size.bytes)
        return total

    def _expand(self, function: Key, levels: int) -> tuple[_Size, int]:
        if levels > 0 and function not in self.known:
            nodes = self.functions[function]
            size = self.sum(nodes, levels - 1)
            size.check()
            called = [self.known[key][1] for key in nodes.operators if key in self.functions]
            self.known[function] = size, 1 + max(called, default=0)
        size, depth = self.known.get(function, (_Size(), 1))
        if depth > levels:
            raise ValueError(
                f"its functions call one another more than {MOST_LEVELS} deep, the limit, or one calls itself"
            )
        return size, depth


def _check_reference(attribute: Bytes) -> None:
    """Raise ValueError for an attribute that stands for a graph which its function was called with."""
    found = dict(fields(attribute))
    if found.get(_REFERENCE) and found.get(_TYPE, _TYPES_OF_GRAPHS[0]) in _TYPES_OF_GRAPHS:
        raise ValueError("a function of it is called with a graph, which is not expanded")


def _check_defaults(function: Bytes) -> None:
    """Raise ValueError where the default values of a function's attributes are too large to be repeated."""
    defaults = [
        value for number, value in fields(function) if number == _DEFAULT and not isinstance(value, int)
    ]
    if (size := sum(map(len, defaults))) > MOST_CALL_BYTES:
        raise ValueError(
            f"the attributes of a function have defaults of {size:,} bytes; at most {MOST_CALL_BYTES:,} are expanded"
        )
    if any(number in _GRAPHS for default in defaults for number, _ in fields(default)):
        raise ValueError("an attribute of a function has a graph as its default, which is not expanded")


def key_of(texts: Mapping[int, str], numbers: tuple[int, int, int]) -> Key:
    """The key whose parts are in the fields `numbers` of a function or a node, of which `texts` has the content."""
    domain, operator, overload = (texts.get(number, "") for number in numbers)
    return "" if domain == "ai.onnx" else domain, operator, overload


def _key(message: Bytes, numbers: tuple[int, int, int]) -> Key:
    texts = {
        number: name(value)
        for number, value in fields(message)
        if not isinstance(value, int) and number in numbers
    }
    return key_of(texts, numbers)
