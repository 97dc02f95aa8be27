"""RefusalError: why a pass skipped a place, shown if too few places matched."""

from collections.abc import Callable, Iterable

import onnx_ir

from pipeline.passes.base import PassResult


class RefusalError(Exception):
    """What looked like a pass's pattern cannot be rewritten; the message is the reason.

    `rewrite_each` and `pipeline.passes.matching.rewriting.rewrite` catch it and add the reason to the pass's result.
    """

    def __init__(self, reason: str, value: onnx_ir.Value | None = None, *, before: str = "") -> None:
        super().__init__(f"{reason}; apply {before} before" if before else reason)
        self.value = value
        """The value that the reason is about; None where it is about the node that was looked at."""
        self.before = (before,) if before else ()
        """The name of a pass that must be applied before, in a tuple; empty where none would help."""


def rewrite_each(candidates: Iterable[onnx_ir.Node], rewrite: Callable[[onnx_ir.Node], None]) -> PassResult:
    """Call `rewrite` with each of `candidates`; one for which it raises RefusalError counts as refused.

    `rewrite` must not have changed the graph when it raises.
    """
    rewrites = 0
    refusals: list[str] = []
    before: list[str] = []
    for node in candidates:
        try:
            rewrite(node)
        except RefusalError as refusal:
            refusals.append(f"{node.name}: {refusal}")
            before += refusal.before
        else:
            rewrites += 1
    return PassResult(rewrites=rewrites, refusals=tuple(refusals), before=tuple(before))
