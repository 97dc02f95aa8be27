"""The tiny graphs of tests/graphs.py after a scheme; tests that only read one share it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.passes import base, registry
from pipeline.precision import TransformResult, schemes
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, calibration, exported

Array = npt.NDArray[np.generic]

HEAD = "sequence_classification"
TIED = "masked_lm"
"""The one head whose output layer shares the embeddings' weight."""
OWN_LINEARS = {
    "features": 0,
    "masked_lm": 2,
    "multiple_choice": 2,
    "question_answering": 1,
    "sequence_classification": 2,
    "token_classification": 1,
}
"""Linear layers of each head beyond the encoder's."""
LARGE = 300 * 32
"""Elements of the largest weight, the word embeddings."""
# TensorRT is given one operator for attention, and signed integers
_PASSES = {"int8_static_fp16": ("attention_onnx",), "fp8_static_fp16": ("attention_onnx",)}
_SIGNED = {"int8_static_fp16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedGraph:
    """A graph after a scheme."""

    graph: Graph
    """Shared by several tests: not to be changed."""
    result: TransformResult
    """What the scheme returned."""

    @property
    def counts(self) -> dict[str, int]:
        """How many rewrites each pass made."""
        return {record.name: record.rewrites for record in self.result.passes}


@cache
def quantized(scheme: str, head: str = HEAD, **changes: object) -> QuantizedGraph:
    """The graph of `head` after `scheme`, made once for each plan."""
    graph = exported(head)
    return QuantizedGraph(graph=graph, result=quantize(graph, scheme, head, **changes))


def quantized_graph(head: str = HEAD, **changes: object) -> Graph:
    """The graph of `head` in INT8 with static scales, which a test may change."""
    graph = exported(head)
    quantize(graph, "int8_static", head, **changes)
    return graph


def quantize(graph: Graph, scheme: str, head: str = HEAD, **changes: object) -> TransformResult:
    """Apply `scheme` to `graph`, in place."""
    base.apply(graph, [registry.find(name) for name in _PASSES.get(scheme, ())])
    plan = Plan(**{"scheme": scheme, "signed_activations": scheme in _SIGNED, **changes})  # type: ignore[arg-type]
    return schemes.find(scheme).run(graph, plan, calibration(head))


def linears(head: str) -> int:
    """How many linear layers the graph of `head` has."""
    return 6 * LAYERS + OWN_LINEARS[head]


def nodes(graph: Graph, *op_types: str) -> Iterator[onnx_ir.Node]:
    """The nodes of some operators."""
    return (node for node in graph.graph if node.op_type in op_types)


def node_named(graph: Graph, name: str) -> onnx_ir.Node:
    """The node called `name`."""
    (node,) = (node for node in graph.graph if node.name == name)
    return node


def array(graph: Graph, name: str) -> Array:
    """What the initializer `name` holds."""
    value = graph.graph.initializers[name].const_value
    assert value is not None
    return value.numpy()


def change_weight(graph: Graph, name: str, change: Callable[[Array], Array]) -> None:
    """Let the initializer `name` hold the result of `change`, in its type."""
    before = array(graph, name)
    after = np.asarray(change(before.copy())).astype(before.dtype)
    graph.graph.initializers[name].const_value = onnx_ir.tensor(after, name=name)


def large_weights(graph: Graph) -> list[onnx_ir.Value]:
    """The initializers with as many elements as the word embeddings."""
    return [value for value in graph.graph.initializers.values() if value.const_value.size >= LARGE]
