"""Building parts of a graph: adding nodes and constants, replacing and removing them.

An `Insertion` adds nodes at one place of a graph. Every node gets a name that begins with its module, and every value
a name, a type and a shape, as in the export:

    insertion = Insertion.before(graph, softmax)
    factor = insertion.constant(np.array(0.5, dtype=np.float32))
    halved = insertion.add("Mul", [scores, factor], shape=shape_of(scores), label="half")

The node above is called `<module of softmax>/Mul_half`. `insertion.add_all` is for operators with several outputs.
`pipeline.passes.matching.rewriting.Replacement` has the same methods, for nodes that replace a matched pattern.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.graph.names import CONSTANT, module_of, unique_name
from pipeline.graph.values import array_of, module_of_value, node_of

Attributes = Mapping[str, int | float | str | Sequence[int] | onnx_ir.TensorProtocol | onnx_ir.Graph]
Size = int | onnx_ir.SymbolicDim
Shape = Iterable[Size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The type and the shape of one output of a node that is built."""

    dtype: onnx_ir.DataType
    """The type of its elements."""

    shape: Shape | None
    """Its sizes; None where they are not known."""


class Builder(ABC):
    """Adds nodes that belong to one module, and the constants that they read."""

    def __init__(
        self, graph: Graph, module: str, *, dtype: onnx_ir.DataType = onnx_ir.DataType.FLOAT
    ) -> None:
        self.graph = graph
        self.module = module
        self.dtype = dtype
        """The type of what nodes compute, where `add` is not given another."""

    def add(
        self,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        *,
        shape: Shape | None,
        dtype: onnx_ir.DataType | None = None,
        label: str = "",
        attributes: Attributes | None = None,
        domain: str = "",
    ) -> onnx_ir.Value:
        """The only output of a new node `<module>/<op_type>`, or `<module>/<op_type>_<label>` where there is a label.

        None in `inputs` stands for an input that is left out.
        """
        output = Output(dtype=self.dtype if dtype is None else dtype, shape=shape)
        (value,) = self.add_all(op_type, inputs, [output], label=label, attributes=attributes, domain=domain)
        return value

    def add_all(
        self,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        outputs: Sequence[Output],
        *,
        label: str = "",
        attributes: Attributes | None = None,
        domain: str = "",
    ) -> tuple[onnx_ir.Value, ...]:
        """All outputs of a new node, which is named as in `add`; `outputs` has one entry for each."""
        name = f"{self.module}/{op_type}_{label}" if label else f"{self.module}/{op_type}"
        node = self._make(op_type, inputs, dict(attributes or {}), domain, name, len(outputs))
        for value, output in zip(node.outputs, outputs, strict=True):
            describe(value, output.shape, output.dtype)
        return tuple(node.outputs)

    def constant(self, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
        """The constant of the graph that equals `array`, added where there is none yet."""
        return shared_constant(self.graph, array)

    def sizes(self, *sizes: int) -> onnx_ir.Value:
        """`sizes` as a constant int64 vector, for operators that read sizes or axes."""
        return self.constant(np.array(sizes, dtype=np.int64))

    @abstractmethod
    def in_module(self, module: str) -> "Builder":
        """The same, for nodes that belong to `module`."""

    @abstractmethod
    def _make(
        self,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        attributes: Attributes,
        domain: str,
        name: str,
        outputs: int,
    ) -> onnx_ir.Node:
        """A new node in its place, called `name`, with `outputs` outputs that have no names yet."""


class Insertion(Builder):
    """Adds nodes at one place of a graph, one after the other."""

    def __init__(
        self,
        graph: Graph,
        module: str,
        place: Callable[[onnx_ir.Node], None],
        *,
        dtype: onnx_ir.DataType = onnx_ir.DataType.FLOAT,
        numbered: bool = True,
    ) -> None:
        super().__init__(graph, module, dtype=dtype)
        self._place = place
        self._numbered = numbered
        """Whether a name that is taken gets a number at once; otherwise names repeat until the graph is tidied."""

    @classmethod
    def before(
        cls,
        graph: Graph,
        node: onnx_ir.Node,
        *,
        module: str | None = None,
        dtype: onnx_ir.DataType = onnx_ir.DataType.FLOAT,
        numbered: bool = True,
    ) -> "Insertion":
        """Insert ahead of `node`; the new nodes belong to its module where none is given."""
        module = module_of(str(node.name)) if module is None else module
        return cls(
            graph, module, lambda new: graph.graph.insert_before(node, new), dtype=dtype, numbered=numbered
        )

    @classmethod
    def after(
        cls,
        graph: Graph,
        value: onnx_ir.Value,
        *,
        module: str | None = None,
        dtype: onnx_ir.DataType = onnx_ir.DataType.FLOAT,
        numbered: bool = True,
    ) -> "Insertion":
        """Insert right after the node that computes `value`, or ahead of all nodes where none does."""
        module = module_of_value(value) if module is None else module
        last = value.producer()
        if last is None:
            return cls.before(graph, graph.graph[0], module=module, dtype=dtype, numbered=numbered)

        def place(new: onnx_ir.Node) -> None:
            nonlocal last
            assert last is not None
            graph.graph.insert_after(last, new)
            last = new

        return cls(graph, module, place, dtype=dtype, numbered=numbered)

    def in_module(self, module: str) -> "Insertion":
        """The same place, for nodes that belong to `module`."""
        return Insertion(self.graph, module, self._place, dtype=self.dtype, numbered=self._numbered)

    def _make(
        self,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        attributes: Attributes,
        domain: str,
        name: str,
        outputs: int,
    ) -> onnx_ir.Node:
        if self._numbered:
            name = unique_name(name, {str(node.name) for node in self.graph.graph})
        node = onnx_ir.node(op_type, inputs, attributes, domain=domain, name=name, num_outputs=outputs)
        self._place(node)
        return node


def attributes_of(node: onnx_ir.Node) -> Attributes:
    """The attributes of `node`, to build another node with."""
    return {name: attribute.value for name, attribute in node.attributes.items()}


def insert(
    graph: Graph,
    before: onnx_ir.Node,
    op_type: str,
    inputs: Sequence[onnx_ir.Value | None],
    *,
    name: str,
    dtype: onnx_ir.DataType,
    shape: onnx_ir.Shape | None,
    attributes: Attributes | None = None,
) -> onnx_ir.Value:
    """The output of one new node `name` ahead of `before`; `name` is `<module>/<op_type>`, and a number may follow.

    Several nodes are shorter with `Insertion.before`.
    """
    insertion = Insertion.before(graph, before, module=name.removesuffix(f"/{op_type}"))
    return insertion.add(op_type, inputs, shape=shape, dtype=dtype, attributes=attributes)


def constant(graph: Graph, name: str, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """The initializer `name`: the one that another node reads already, or a new one that holds `array`."""
    existing = graph.graph.initializers.get(name)
    return initializer(graph, name, array) if existing is None else existing


def shared_constant(graph: Graph, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """The numbered initializer that equals `array`, added under the next number where there is none yet."""
    initializers = graph.graph.initializers
    for name, value in initializers.items():
        existing = array_of(value) if name.startswith(CONSTANT) else None
        if existing is None or existing.dtype != array.dtype or existing.shape != array.shape:
            continue
        if np.array_equal(existing, array):
            return value
    number = 0
    while f"{CONSTANT}{number}" in initializers:
        number += 1
    return initializer(graph, f"{CONSTANT}{number}", array)


def initializer(graph: Graph, name: str, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """A new initializer of the graph, which keeps `array` itself: a transposed view is laid out when it is written."""
    tensor = onnx_ir.tensor(array, name=name)
    value = onnx_ir.Value(
        name=name,
        shape=onnx_ir.Shape(array.shape),
        type=onnx_ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.graph.register_initializer(value)
    return value


def describe(value: onnx_ir.Value, shape: Shape | None, dtype: onnx_ir.DataType) -> onnx_ir.Value:
    """`value`, which a node computes, with a name after its node, a type and a shape."""
    value.name = f"{node_of(value).name}_output_{value.index()}"
    value.shape = None if shape is None else onnx_ir.Shape(shape)
    # A type of its own: clones of a graph share the types of their values
    value.type = onnx_ir.TensorType(dtype)
    return value


def replace(graph: Graph, node: onnx_ir.Node, value: onnx_ir.Value) -> None:
    """Remove `node`, and make all that read its only output read `value`, which may become an output of the graph."""
    replaced = node.outputs[0]
    if replaced.is_graph_output():
        value.name, value.shape, value.type = replaced.name, replaced.shape, replaced.type
    replaced.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.graph.remove(node, safe=True)


def replace_initializer(graph: Graph, value: onnx_ir.Value, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """An initializer that holds `array` under the name of `value`, which it replaces for all its readers."""
    name = str(value.name)
    graph.graph.initializers.pop(name)
    replacement = initializer(graph, name, array)
    value.replace_all_uses_with(replacement)
    return replacement


def drop_if_unused(graph: Graph, value: onnx_ir.Value) -> None:
    """Remove an initializer that nothing reads; of a computed value, the node too, and what only that node read."""
    if value.uses() or value.is_graph_output() or value.is_graph_input():
        return
    node = value.producer()
    if node is None:
        if value.name is not None:
            graph.graph.initializers.pop(value.name, None)
        return
    if any(output.uses() or output.is_graph_output() for output in node.outputs):
        return
    inputs = [read for read in node.inputs if read is not None]
    graph.graph.remove(node, safe=True)
    for read in dict.fromkeys(inputs):
        drop_if_unused(graph, read)
