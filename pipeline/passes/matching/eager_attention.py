"""The attention that the exporter writes, softmax(q k^T / sqrt(D) + mask) v, as a pattern that several passes share.

Shape letters: B batch, T tokens, Q queries (T, or 1 after first_token), H hidden width, N heads, D width of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, shape_of
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import Operators, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerAttention:
    """One match of the pattern."""

    q: onnx_ir.Value
    """Projected queries, (B, Q, H)."""

    k: onnx_ir.Value
    """Projected keys, (B, T, H)."""

    v: onnx_ir.Value
    """Projected values, (B, T, H)."""

    divisor: onnx_ir.Value
    """The constant that the queries are divided by."""

    mask: onnx_ir.Value
    """The additive mask, (B, 1, 1, T), or (B, 1, Q, T) where it is pairwise."""

    split: onnx_ir.Value
    """The sizes (B, Q, N, D) that q is reshaped to."""

    key_split: onnx_ir.Value
    """The sizes (B, T, N, D) that k is reshaped to."""

    value_split: onnx_ir.Value
    """The sizes (B, T, N, D) that v is reshaped to."""

    merged: onnx_ir.Value
    """The sizes (B, Q, H) that the context is reshaped to."""

    q_heads: onnx_ir.Value
    """The reshaped queries, (B, Q, N, D)."""

    k_heads: onnx_ir.Value
    """The reshaped keys, (B, T, N, D)."""

    v_heads: onnx_ir.Value
    """The reshaped values, (B, T, N, D)."""

    output: onnx_ir.Value
    """The context, (B, Q, H)."""

    @property
    def shape(self) -> onnx_ir.Shape:
        """(B, Q, H)."""
        return shape_of(self.q)

    @property
    def tokens(self) -> int | onnx_ir.SymbolicDim:
        """T."""
        return shape_of(self.k)[1]

    @property
    def is_one_query(self) -> bool:
        """Whether there is one query, however many tokens there are."""
        return self.shape[1] == 1

    @property
    def heads(self) -> int:
        """N."""
        size = shape_of(self.q_heads)[2]
        assert isinstance(size, int)
        return size

    @property
    def width(self) -> int:
        """D."""
        size = shape_of(self.q_heads)[3]
        assert isinstance(size, int)
        return size

    @property
    def scale(self) -> float:
        """The factor of the scores, 1 / divisor."""
        divisor = array_of(self.divisor)
        assert divisor is not None
        return 1.0 / float(divisor)

    @property
    def is_pairwise(self) -> bool:
        """Whether the mask has a row for each query."""
        queries = shape_of(self.mask)[2]
        return queries != 1 and queries == self.shape[1]

    def check(self) -> None:
        """Raise RefusalError where a size is not one that attention of N heads has."""
        for value in (self.q, self.k, self.v):
            if value.shape is None or len(value.shape) != 3:
                raise RefusalError(
                    f"{value.name} has shape {value.shape}, must be (batch, tokens, hidden)", value
                )
        batch, queries, hidden = self.shape
        if queries not in (1, self.tokens):
            raise RefusalError(f"{self.q.name} has {queries} queries, must be 1 or {self.tokens}", self.q)
        for value in (self.k, self.v):
            if tuple(value.shape or ()) != (batch, self.tokens, hidden):
                raise RefusalError(
                    f"{value.name} has shape {value.shape}, must be (batch, tokens, hidden)", value
                )
        self._check_heads()
        if self.output.shape != self.shape:
            raise RefusalError(f"context has shape {self.output.shape}, must be {self.shape}", self.output)
        divisor = array_of(self.divisor)
        if divisor is None or divisor.ndim or not float(divisor) > 0:
            raise RefusalError("scores are not divided by one positive constant", self.divisor)
        self._check_mask()

    def _check_heads(self) -> None:
        heads = self.q_heads.shape
        if heads is None or len(heads) != 4 or not all(isinstance(size, int) for size in heads[2:]):
            raise RefusalError(f"heads have shape {heads}, must be (batch, tokens, N, D)", self.q_heads)
        batch, _, hidden = self.shape
        if tuple(heads[:2]) != tuple(self.shape[:2]) or self.heads * self.width != hidden:
            raise RefusalError(f"heads {heads} do not split {self.shape}", self.q_heads)
        for value in (self.k_heads, self.v_heads):
            if tuple(value.shape or ()) != (batch, self.tokens, self.heads, self.width):
                raise RefusalError(
                    f"heads have shape {value.shape}, must be {heads} for keys and values too", value
                )

    def _check_mask(self) -> None:
        mask = self.mask.shape
        batch, queries = self.shape[:2]
        fits = mask is not None and len(mask) == 4 and self.mask.dtype == onnx_ir.DataType.FLOAT
        if fits and mask is not None:
            fits = mask[0] == batch and mask[1] == 1 and mask[2] in (1, queries) and mask[3] == self.tokens
        if not fits:
            raise RefusalError(
                f"the additive mask {self.mask.name} has shape {mask}, must be (batch, 1, 1, tokens) or "
                f"(batch, 1, queries, tokens) of {self.shape} and {self.tokens} tokens",
                self.mask,
            )


def rewrite_attention(
    graph: Graph,
    build: Callable[[EagerAttention, Builder], onnx_ir.Value],
    check: Callable[[EagerAttention], None] | None = None,
) -> PassResult:
    """Replace each eager attention by what `build` builds; `check` may refuse one that the shared checks accept."""

    def check_all(attention: EagerAttention) -> None:
        attention.check()
        if check is not None:
            check(attention)

    return rewrite(graph, _pattern, EagerAttention, check=check_all, build=build)


def _pattern(
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
    context = op.MatMul(op.Softmax(scores, axis=-1), values)
    return op.Reshape(op.Transpose(context, perm=[0, 2, 1, 3]), merged, _outputs=["output"])
