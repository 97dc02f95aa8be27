"""The attention that the exporter writes, softmax(q k^T / sqrt(D) + mask) v, as a pattern that several fusions share.

Shape letters: B batch, T tokens, Q queries (T, or 1 where first_token went ahead), H hidden width, N heads, D width
of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir
from onnxscript.rewriter.pattern import MatchResult, RewriteRule

from pipeline.graph.builder import array_of
from pipeline.passes.matching.rewriting import Operators, refuse

Build = Callable[["EagerAttention", Operators], onnx_ir.Value]
Check = Callable[["EagerAttention"], MatchResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerAttention:
    """One match: q (B, Q, H), k and v (B, T, H), the additive mask (B, 1, 1 or Q, T), the context (B, Q, H).

    split, key_split, value_split: what q, k and v are reshaped to, (B, Q or T, N, D). merged: the context, (B, Q, H).
    """

    q: onnx_ir.Value
    k: onnx_ir.Value
    v: onnx_ir.Value
    divisor: onnx_ir.Value
    mask: onnx_ir.Value
    split: onnx_ir.Value
    key_split: onnx_ir.Value
    value_split: onnx_ir.Value
    merged: onnx_ir.Value
    q_heads: onnx_ir.Value
    k_heads: onnx_ir.Value
    v_heads: onnx_ir.Value
    context: onnx_ir.Value

    @property
    def module(self) -> str:
        """The attention module's path."""
        node = self.context.producer()
        assert node is not None
        assert node.name is not None
        return node.name.rpartition("/")[0]

    @property
    def shape(self) -> onnx_ir.Shape:
        """(B, Q, H)."""
        assert self.q.shape is not None
        return self.q.shape

    @property
    def tokens(self) -> int | onnx_ir.SymbolicDim:
        """T."""
        assert self.k.shape is not None
        return self.k.shape[1]

    @property
    def is_one_query(self) -> bool:
        """Whether only one token asks, of however many there are."""
        return self.shape[1] == 1

    @property
    def heads(self) -> int:
        """N."""
        assert self.q_heads.shape is not None
        size = self.q_heads.shape[2]
        assert isinstance(size, int)
        return size

    @property
    def width(self) -> int:
        """D."""
        assert self.q_heads.shape is not None
        size = self.q_heads.shape[3]
        assert isinstance(size, int)
        return size

    @property
    def scale(self) -> float:
        """What scores are multiplied by, 1 / divisor."""
        divisor = array_of(self.divisor)
        assert divisor is not None
        return 1.0 / float(divisor)

    @property
    def is_pairwise(self) -> bool:
        """Whether the mask has a row for each query."""
        assert self.mask.shape is not None
        return self.mask.shape[2] != 1 and self.mask.shape[2] == self.shape[1]

    def check(self) -> MatchResult:
        """Whether every size is what attention of N heads needs; a falsy result says what is not."""
        for value in (self.q, self.k, self.v):
            if value.shape is None or len(value.shape) != 3:
                return refuse(f"{value.name} has shape {value.shape}, must be (batch, tokens, hidden)", value)
        batch, queries, hidden = self.shape
        if queries not in (1, self.tokens):
            return refuse(f"{self.q.name} has {queries} queries, must be 1 or {self.tokens}", self.q)
        for value in (self.k, self.v):
            if tuple(value.shape or ()) != (batch, self.tokens, hidden):
                return refuse(f"{value.name} has shape {value.shape}, must be (batch, tokens, hidden)", value)
        heads = self.q_heads.shape
        if heads is None or len(heads) != 4 or not all(isinstance(size, int) for size in heads[2:]):
            return refuse(f"heads have shape {heads}, must be (batch, tokens, N, D)", self.q_heads)
        if tuple(heads[:2]) != tuple(self.shape[:2]) or self.heads * self.width != hidden:
            return refuse(f"heads {heads} do not split {self.shape}", self.q_heads)
        for value in (self.k_heads, self.v_heads):
            if tuple(value.shape or ()) != (batch, self.tokens, self.heads, self.width):
                return refuse(
                    f"heads have shape {value.shape}, must be {heads} for keys and values too", value
                )
        if self.context.shape != self.shape:
            return refuse(f"context has shape {self.context.shape}, must be {self.shape}", self.context)
        divisor = array_of(self.divisor)
        if divisor is None or divisor.ndim or not float(divisor) > 0:
            return refuse("scores are not divided by one positive constant", self.divisor)
        return self._check_mask()

    def _check_mask(self) -> MatchResult:
        mask = self.mask.shape
        batch, queries = self.shape[:2]
        wanted = (
            f"(batch, 1, 1, tokens) or (batch, 1, queries, tokens) of {self.shape} and {self.tokens} tokens"
        )
        if mask is None or len(mask) != 4 or self.mask.dtype != onnx_ir.DataType.FLOAT:
            return refuse(f"the additive mask {self.mask.name} has shape {mask}, must be {wanted}", self.mask)
        if mask[0] != batch or mask[1] != 1 or mask[2] not in (1, queries) or mask[3] != self.tokens:
            return refuse(f"the additive mask {self.mask.name} has shape {mask}, must be {wanted}", self.mask)
        return MatchResult()


def eager_attention_rule(build: Build, check: Check | None = None) -> RewriteRule:
    """A rule that replaces each eager attention by what `build` makes of it, where `check` does not mind."""

    def pattern(
        op: Operators,
        q: onnx_ir.Value,
        k: onnx_ir.Value,
        v: onnx_ir.Value,
        divisor: onnx_ir.Value,
        mask: onnx_ir.Value,
        split: onnx_ir.Value,
        key_split: onnx_ir.Value,
        value_split: onnx_ir.Value,
        merged: onnx_ir.Value,
    ) -> onnx_ir.Value:
        queries = op.Transpose(op.Reshape(q, split, _outputs=["q_heads"]), perm=[0, 2, 1, 3])
        keys = op.Transpose(op.Reshape(k, key_split, _outputs=["k_heads"]), perm=[0, 2, 3, 1])
        values = op.Transpose(op.Reshape(v, value_split, _outputs=["v_heads"]), perm=[0, 2, 1, 3])
        scores = op.Add(op.MatMul(op.Div(queries, divisor), keys), mask)
        attended = op.MatMul(op.Softmax(scores, axis=-1), values)
        return op.Reshape(op.Transpose(attended, perm=[0, 2, 1, 3]), merged, _outputs=["context"])

    def accepts(op: Operators, **bound: onnx_ir.Value) -> MatchResult:
        found = EagerAttention(**bound)
        result = found.check()
        return check(found) if result and check is not None else result

    def replacement(op: Operators, **bound: onnx_ir.Value) -> onnx_ir.Value:
        return build(EagerAttention(**bound), op)

    return RewriteRule(pattern, replacement, accepts)
