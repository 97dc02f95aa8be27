"""Two graphs of one checkpoint merged into one, in which either graph may compute each module.

Each boundary has two switches: one chooses the value for the reference's readers, one that for the variant's readers.
With all switches at the reference, every module of the variant computes from float inputs, which shows its own error.
With one switch at the variant, that module alone is quantized. With all but one, that module alone is restored.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import onnx_ir
from distilforge.manifest import Variant
from distilforge.onnxruntime.settings import NAMES, Settings
from onnx_ir.passes import common

from pipeline.bisection.boundaries import Boundary
from pipeline.graph import session as graph_session
from pipeline.graph.file import Graph
from validation.answers.batches import Feeds
from validation.tasks.base import Floats

_PREFIX = "variant:"
_FLOAT, _HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16


class _Session(Protocol):
    def run(self, names: list[str], feeds: Mapping[str, object]) -> list[Floats]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """A session of the merged graph; its boundaries have the numbers from 0."""

    session: _Session
    """ONNX Runtime's session."""
    outputs: Mapping[str, bool]
    """The reference's outputs by name: whether the last axis holds channels."""
    channels: tuple[bool, ...]
    """Of each boundary: whether the last axis of its value holds channels, not tokens, choices or texts."""

    @property
    def boundaries(self) -> int:
        """How many boundaries there are."""
        return len(self.channels)

    def run(
        self, feeds: Feeds, *, quantized: Collection[int], unpaired: Collection[int] = ()
    ) -> dict[str, Floats]:
        """The outputs where the variant computes the boundaries `quantized`.

        At the boundaries `unpaired` nothing is exchanged: the readers in each graph get its own value.
        """
        results = self.session.run(
            [f"result:{name}" for name in self.outputs], {**feeds, **self._switches(quantized, unpaired)}
        )
        return dict(zip(self.outputs, results, strict=True))

    def ends(self, feeds: Feeds, *, unpaired: Collection[int]) -> list[tuple[Floats, Floats]]:
        """The value at each boundary by the reference, and by the variant from the reference's values."""
        names = [f"{side}:{index}" for index in range(self.boundaries) for side in ("float", "quantized")]
        values = self.session.run(names, {**feeds, **self._switches((), unpaired)})
        return list(zip(values[::2], values[1::2], strict=True))

    def _switches(self, quantized: Collection[int], unpaired: Collection[int]) -> dict[str, object]:
        """The value of every switch; true is the variant's side."""
        switches: dict[str, object] = {}
        for index in range(self.boundaries):
            switches[f"reference_reads:{index}"] = np.array(index in quantized and index not in unpaired)
            switches[f"variant_reads:{index}"] = np.array(index in quantized or index in unpaired)
        return switches


def load(reference: Graph, variant: Graph, boundaries: Sequence[Boundary], settings: Variant) -> Hybrid:
    """Merge the two graphs, which are not valid afterwards, and load the result with the settings of a variant.

    ONNX Runtime computes it, so settings of other engines are left out.
    """
    import onnxruntime

    channels = tuple(_has_channels(boundary.reference) for boundary in boundaries)
    outputs = {str(value.name): _has_channels(value) for value in reference.graph.outputs}
    merge(reference, variant, boundaries)
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    known = {name: value for name, value in settings.session.items() if name in NAMES}
    given = Settings.of(replace(settings, session=known))
    session = graph_session.session(reference, options, given.apply(options))
    return Hybrid(session=session, outputs=outputs, channels=channels)


def _has_channels(value: onnx_ir.Value) -> bool:
    """Whether the last axis of `value` has a fixed size: the axes of texts, choices and tokens do not."""
    return value.shape is not None and bool(len(value.shape)) and isinstance(value.shape[-1], int)


def merge(reference: Graph, variant: Graph, boundaries: Sequence[Boundary]) -> None:
    """Move the variant's nodes into `reference`, and add the switches.

    Every output of the reference must be a boundary.
    """
    results = {str(value.name): value for value in reference.graph.outputs}
    _move(variant, reference)
    reference.graph.outputs.clear()
    switched: dict[onnx_ir.Value, onnx_ir.Value] = {}
    exposed: list[onnx_ir.Value] = []
    for index, boundary in enumerate(boundaries):
        values, chosen = _switch(reference, index, boundary)
        exposed.extend(values)
        switched[boundary.reference] = chosen
    for name, value in results.items():
        result = _append(reference, "Identity", [switched[value]], f"result:{name}", value.shape)
        reference.graph.outputs.append(result)
    reference.graph.outputs.extend(exposed)
    common.TopologicalSortPass()(reference)
    common.RemoveUnusedNodesPass()(reference)


def _move(variant: Graph, reference: Graph) -> None:
    """Move the variant's nodes and weights under new names; the nodes read the reference's inputs."""
    inputs = {value.name: value for value in reference.graph.inputs}
    for value in variant.graph.inputs:
        value.replace_all_uses_with(inputs[value.name])
    variant.graph.outputs.clear()
    nodes = tuple(variant.graph)
    variant.graph.remove(nodes)
    for name, value in tuple(variant.graph.initializers.items()):
        del variant.graph.initializers[name]
        value.name = _PREFIX + name
        assert value.const_value is not None
        value.const_value.name = value.name
        reference.graph.register_initializer(value)
    for node in nodes:
        node.name = f"{_PREFIX}{node.name}"
        for value in node.outputs:
            if value.name:
                value.name = _PREFIX + value.name
    reference.graph.extend(nodes)
    for domain, version in variant.graph.opset_imports.items():
        known = reference.graph.opset_imports.get(domain, version)
        reference.graph.opset_imports[domain] = max(known, version)


def _switch(
    graph: Graph, index: int, boundary: Boundary
) -> tuple[tuple[onnx_ir.Value, onnx_ir.Value], onnx_ir.Value]:
    """Add both switches of a boundary: both its values in float32, and the value that the reference's readers get."""
    reference, variant, shape = boundary.reference, boundary.variant, boundary.reference.shape
    is_half = variant.dtype == _HALF
    readers = tuple(reference.uses()), tuple(variant.uses())
    quantized = variant
    if is_half:
        quantized = _append(graph, "Cast", [variant], f"quantized_float:{index}", shape, to=_FLOAT)
    values = (
        _append(graph, "Identity", [reference], f"float:{index}", shape),
        _append(graph, "Identity", [quantized], f"quantized:{index}", shape),
    )
    to_reference, to_variant = (
        _append(
            graph,
            "Where",
            [_flag(graph, f"{side}_reads:{index}"), quantized, reference],
            f"{side}_read:{index}",
            shape,
        )
        for side in ("reference", "variant")
    )
    if is_half:
        to_variant = _append(graph, "Cast", [to_variant], f"variant_read:{index}:half", shape, to=_HALF)
    for uses, value in zip(readers, (to_reference, to_variant), strict=True):
        for use in uses:
            use.node.replace_input_with(use.idx, value)
    return values, to_reference


def _flag(graph: Graph, name: str) -> onnx_ir.Value:
    """A new input of the graph, true or false."""
    flag = onnx_ir.Value(name=name, shape=onnx_ir.Shape([]), type=onnx_ir.TensorType(onnx_ir.DataType.BOOL))
    graph.graph.inputs.append(flag)
    return flag


def _append(
    graph: Graph,
    op_type: str,
    inputs: Sequence[onnx_ir.Value],
    name: str,
    shape: onnx_ir.Shape | None,
    *,
    to: onnx_ir.DataType | None = None,
) -> onnx_ir.Value:
    """The output, called `name`, of a new node at the end of the graph; float32, or what a Cast goes `to`."""
    node = onnx_ir.node(op_type, inputs, {} if to is None else {"to": int(to)})
    graph.graph.append(node)
    (output,) = node.outputs
    output.name = name
    output.shape = None if shape is None else onnx_ir.Shape(shape)
    output.type = onnx_ir.TensorType(_FLOAT if to is None else to)
    return output
