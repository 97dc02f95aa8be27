"""Checks the functions of an ONNX file, before an engine expands them: replaces each call by the function's nodes.

A function can call another one twice, which calls the next one twice. A small file then stands for more nodes than fit
in memory. A long chain of calls overflows an engine's stack. ONNX files are protocol buffers; the numbers here are the
fields of onnx/onnx.proto.
"""

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distilforge.onnx_fields import Bytes, fields, text

MOST_NODES = 100_000
"""The most nodes of a model whose functions are expanded. A DistilBERT has some hundreds."""
MOST_LEVELS = 32
"""The most functions that call one another."""

# Domain, name and overload, of a function and of a node that calls it
_Key = tuple[str, str, str]
_GRAPH, _FUNCTION = 7, 25
_NODE_OF_GRAPH, _NODE_OF_FUNCTION = 1, 7
_KEY_OF_FUNCTION, _KEY_OF_NODE = (10, 1, 13), (7, 4, 8)
_ATTRIBUTE, _GRAPHS_OF_ATTRIBUTE = 5, (6, 11)
_MOST_BRANCHES = 64


def check(path: Path) -> None:
    """Raise ValueError if the functions of the ONNX file `path` cannot be expanded, or if it is not an ONNX file.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        # Not closed: on the way to an error there are still views of it
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    model = [(number, value) for number, value in fields(memoryview(content)) if not isinstance(value, int)]
    functions: dict[_Key, Counter[_Key]] = {}
    for number, value in model:
        if number == _FUNCTION:
            functions.setdefault(_key(value, _KEY_OF_FUNCTION), Counter()).update(
                _operators(value, _NODE_OF_FUNCTION, _MOST_BRANCHES)
            )
    if not functions:
        return
    expansion = _Expansion(functions)
    nodes = sum(expansion.nodes(key) for key in functions)
    for number, value in model:
        if number == _GRAPH:
            nodes += expansion.sum(Counter(_operators(value, _NODE_OF_GRAPH, _MOST_BRANCHES)), MOST_LEVELS)
    _check_count(nodes)


@dataclass(frozen=True)
class _Expansion:
    """How many nodes functions stand for."""

    operators: Mapping[_Key, Counter[_Key]]
    """The operators in each function, with how often each occurs."""
    known: dict[_Key, tuple[int, int]] = field(default_factory=dict)
    """The nodes of functions that were expanded before, and how deep their calls go."""

    def nodes(self, function: _Key) -> int:
        """The nodes that `function` stands for. ValueError where they are too many, or calls go too deep."""
        return self._expand(function, MOST_LEVELS)[0]

    def sum(self, operators: Counter[_Key], levels: int) -> int:
        """The nodes that `operators` stand for; their calls may go `levels` deep."""
        return sum(
            count * (self._expand(key, levels)[0] if key in self.operators else 1)
            for key, count in operators.items()
        )

    def _expand(self, function: _Key, levels: int) -> tuple[int, int]:
        if levels > 0 and function not in self.known:
            operators = self.operators[function]
            nodes = self.sum(operators, levels - 1)
            _check_count(nodes)
            called = [self.known[key][1] for key in operators if key in self.operators]
            self.known[function] = nodes, 1 + max(called, default=0)
        nodes, depth = self.known.get(function, (0, 1))
        if depth > levels:
            raise ValueError(
                f"its functions call one another more than {MOST_LEVELS} deep, the limit, or one calls itself"
            )
        return nodes, depth


def _check_count(nodes: int) -> None:
    if nodes > MOST_NODES:
        raise ValueError(f"its functions stand for more than {MOST_NODES:,} nodes, the limit")


def _operators(graph: Bytes, nodes: int, levels: int) -> Iterator[_Key]:
    """The operator of every node of a graph or a function, whose field `nodes` has them, and of its branches."""
    if levels == 0:
        raise ValueError(f"its graphs are nested more than {_MOST_BRANCHES} deep")
    for number, node in fields(graph):
        if isinstance(node, int) or number != nodes:
            continue
        yield _key(node, _KEY_OF_NODE)
        for kind, attribute in fields(node):
            if isinstance(attribute, int) or kind != _ATTRIBUTE:
                continue
            for part, branch in fields(attribute):
                if not isinstance(branch, int) and part in _GRAPHS_OF_ATTRIBUTE:
                    yield from _operators(branch, _NODE_OF_GRAPH, levels - 1)


def _key(message: Bytes, numbers: tuple[int, int, int]) -> _Key:
    """The texts in the fields `numbers` of a function or a node."""
    found = {
        number: text(value)
        for number, value in fields(message)
        if not isinstance(value, int) and number in numbers
    }
    domain, name, overload = (found.get(number, "") for number in numbers)
    return "" if domain == "ai.onnx" else domain, name, overload
