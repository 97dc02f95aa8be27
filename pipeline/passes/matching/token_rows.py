"""Indices between the slots of a padded batch and the rows of the tokens that are kept, computed from its mask."""

import numpy as np
import onnx_ir
from distilforge.kept_tokens import KEPT_TOKENS

from pipeline.graph.builder import Insertion, Size
from pipeline.graph.file import Graph
from pipeline.graph.values import module_of_value, shape_of

LABEL = "kept"
"""The label of every node that drops padding or puts it back."""

KEPT = onnx_ir.SymbolicDim(KEPT_TOKENS)
"""The axis of the kept tokens, in the order of their slots."""

SLOTS = onnx_ir.SymbolicDim("slots")
"""The axis of all slots, batch * tokens."""
_INT64 = onnx_ir.DataType.INT64
_BOOL = onnx_ir.DataType.BOOL


class TokenRows:
    """Values of the graph that say which tokens are kept, and where; all are int64.

    A token is kept if its mask is not 0, if it is the first of its text, or if all of its text is masked.
    """

    def __init__(self, graph: Graph, mask: onnx_ir.Value) -> None:
        """Add the nodes that compute the indices right after `mask`, which is (batch, tokens)."""
        self._at = Insertion.after(graph, mask, module=_module(graph, mask), dtype=_INT64)
        self._batch, self._tokens = shape_of(mask)
        slots: list[Size] = [self._batch, self._tokens]
        self._zero, self._one = (self._at.constant(np.array(value, dtype=np.int64)) for value in (0, 1))
        self._sizes = self._add("Shape", [mask], [2])
        self._length = self._add("Gather", [self._sizes, self._one], [])
        kept = self._kept(mask)
        flat = self._add("Reshape", [kept, self._at.sizes(-1)], [SLOTS], dtype=_BOOL)
        indices = self._add("NonZero", [flat], [1, KEPT])
        self.kept = self._add("Reshape", [indices, self._at.sizes(-1)], [KEPT])
        """For each kept token, its slot in the flattened batch, (kept)."""
        self.positions = self._add("Mod", [self.kept, self._length], [KEPT])
        """For each kept token, its position in its text, padding included, (kept)."""
        counted = self._add("Cast", [flat], [SLOTS], attributes={"to": int(_INT64)})
        counted = self._add("CumSum", [counted, self._zero], [SLOTS])
        counted = self._add("Sub", [counted, self._one], [SLOTS])
        counted = self._add("Reshape", [counted, self._sizes], slots)
        self.first = self._add(
            "Gather", [counted, self._at.sizes(0)], [self._batch, 1], attributes={"axis": 1}
        )
        """For each text, the row of its first token, (batch, 1)."""
        self.slots = self._add("Where", [kept, counted, self.first], slots)
        """For each slot, the row of its token, or that of its text's first token, (batch, tokens)."""
        self.mask = mask
        """The mask itself."""
        self._in_heads: dict[int, onnx_ir.Value] = {}
        self._from_heads: dict[int, onnx_ir.Value] = {}
        self._flat_slots: onnx_ir.Value | None = None

    def flat_slots(self) -> onnx_ir.Value:
        """`slots` with one axis, (batch * tokens)."""
        if self._flat_slots is None:
            self._flat_slots = self._add("Reshape", [self.slots, self._at.sizes(-1)], [SLOTS])
        return self._flat_slots

    def in_heads(self, heads: int) -> onnx_ir.Value:
        """For each head and slot, the row among rows of single heads, (batch, heads, tokens)."""
        if heads not in self._in_heads:
            shape: list[Size] = [self._batch, 1, self._tokens]
            starts = self._add("Unsqueeze", [self.slots, self._at.sizes(1)], shape)
            starts = self._add("Mul", [starts, self._at.constant(np.array(heads, dtype=np.int64))], shape)
            offsets = self._at.constant(np.arange(heads, dtype=np.int64)[:, None])
            shape = [self._batch, heads, self._tokens]
            self._in_heads[heads] = self._add("Add", [starts, offsets], shape)
        return self._in_heads[heads]

    def from_heads(self, heads: int) -> onnx_ir.Value:
        """For each kept token and head, the row in (batch, heads, tokens), flattened; (kept, heads)."""
        if heads not in self._from_heads:
            # The slot b * tokens + t becomes (b * heads + h) * tokens + t
            begins = self._add("Sub", [self.kept, self.positions], [KEPT])
            begins = self._add("Mul", [begins, self._at.constant(np.array(heads, dtype=np.int64))], [KEPT])
            begins = self._add("Add", [begins, self.positions], [KEPT])
            begins = self._add("Unsqueeze", [begins, self._at.sizes(1)], [KEPT, 1])
            numbers = self._at.constant(np.arange(heads, dtype=np.int64))
            offsets = self._add("Mul", [numbers, self._length], [heads])
            self._from_heads[heads] = self._add("Add", [begins, offsets], [KEPT, heads])
        return self._from_heads[heads]

    def _kept(self, mask: onnx_ir.Value) -> onnx_ir.Value:
        shape: list[Size] = [self._batch, self._tokens]
        masked = self._add("Equal", [mask, self._zero], shape, dtype=_BOOL)
        real = self._add("Not", [masked], shape, dtype=_BOOL)
        numbers = self._add("Cast", [real], shape, attributes={"to": int(_INT64)})
        largest = self._add("ReduceMax", [numbers, self._at.sizes(1)], [self._batch, 1])
        empty = self._add("Equal", [largest, self._zero], [self._batch, 1], dtype=_BOOL)
        positions = self._add("Range", [self._zero, self._length, self._one], [self._tokens])
        first = self._add("Equal", [positions, self._zero], [self._tokens], dtype=_BOOL)
        always = self._add("Or", [empty, first], shape, dtype=_BOOL)
        return self._add("Or", [real, always], shape, dtype=_BOOL)

    def _add(
        self,
        op_type: str,
        inputs: list[onnx_ir.Value | None],
        shape: list[Size],
        *,
        dtype: onnx_ir.DataType = _INT64,
        attributes: dict[str, int] | None = None,
    ) -> onnx_ir.Value:
        return self._at.add(op_type, inputs, shape=shape, dtype=dtype, label=LABEL, attributes=attributes)


def _module(graph: Graph, mask: onnx_ir.Value) -> str:
    """The module that reads or computes `mask`, for the names of nodes."""
    if mask.producer() is not None:
        return module_of_value(mask)
    return str(next(node.name for node in graph.graph if mask in node.inputs)).rpartition("/")[0]
