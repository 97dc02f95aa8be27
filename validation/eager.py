"""The reference: the checkpoint in eager PyTorch, in float32, answering the same arrays as the release."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_src.checkpoint import load_checkpoint
from validation.agreement import is_finite
from validation.batches import Bools, Feeds
from validation.errors import UnusableReferenceError
from validation.tasks.base import Floats


class Eager:
    """A checkpoint with eager attention; outputs by the head's names, as a session's `run` gives them."""

    def __init__(self, checkpoint: Path, head: str) -> None:
        """Load it; raises what `model_src.checkpoint.load_checkpoint` raises."""
        loaded = load_checkpoint(checkpoint, head=head, attention="eager")
        self.config = loaded.config
        self.output_axes = loaded.model.output_axes
        self.model = loaded.model
        self._asked = threading.local()
        self.model.distilbert.register_forward_hook(self._thin)

    def run(self, feeds: Feeds, kept: Bools | None = None) -> dict[str, Floats]:
        """Every output for int64 arrays; UnusableReferenceError where one holds NaN or infinity.

        With `kept` (batch, token), for heads whose layers look at one token at a time, only those tokens go through
        the head, which over a vocabulary is most of the work; the outputs are 0 elsewhere.
        """
        named = self.compute(feeds) if kept is None else self._computed_at(feeds, kept)
        for name, output in named.items():
            if not is_finite(output if kept is None else output[kept]):
                raise UnusableReferenceError(
                    f"eager PyTorch gives NaN or infinity in {name!r} of shape {output.shape}",
                    hint="look for NaN in the checkpoint's weights",
                )
        return named

    def compute(self, feeds: Feeds) -> dict[str, Floats]:
        """The same without the check, which is what is timed."""
        with torch.inference_mode():
            outputs = self.model(
                torch.from_numpy(feeds["input_ids"]), torch.from_numpy(feeds["attention_mask"])
            )
        return {
            name: output.to(torch.float32).numpy()
            for name, output in zip(self.model.outputs, outputs, strict=True)
        }

    def _computed_at(self, feeds: Feeds, kept: Bools) -> dict[str, Floats]:
        # Several threads share the model, so that which tokens are asked for is each thread's own.
        self._asked.kept = torch.from_numpy(kept)
        try:
            thin = self.compute(feeds)
        finally:
            self._asked.kept = None
        return {name: _scattered(output, kept) for name, output in thin.items()}

    def _thin(self, module: nn.Module, inputs: tuple[Tensor, ...], hidden_BTC: Tensor) -> Tensor | None:
        """The hidden states of the tokens that were asked for, (tokens, C); None leaves them as they are."""
        kept = getattr(self._asked, "kept", None)
        return None if kept is None else hidden_BTC[kept]


def _scattered(values: Floats, kept: Bools) -> Floats:
    """`values` of the kept tokens at their places; the rest is memory that is never touched."""
    whole = np.zeros((*kept.shape, *values.shape[1:]), dtype=np.float32)
    whole[kept] = values
    return whole


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch on `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
