"""The reference: the checkpoint in eager PyTorch, in float32."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_src.checkpoint import load_checkpoint
from validation.answers.agreement import is_finite
from validation.answers.batches import Bools, Feeds
from validation.errors import UnusableReferenceError
from validation.tasks.base import Floats


class Eager:
    """A checkpoint with eager attention; it takes and gives the same arrays as a session's `run`."""

    def __init__(self, checkpoint: Path, head: str) -> None:
        """Load it; raises the errors of `model_src.checkpoint.load_checkpoint`."""
        loaded = load_checkpoint(checkpoint, head=head, attention="eager")
        self.config = loaded.config
        self.output_axes = loaded.model.output_axes
        self.model = loaded.model
        self._thread = threading.local()
        self.model.distilbert.register_forward_hook(self._only_kept)

    def run(self, feeds: Feeds, kept: Bools | None = None) -> dict[str, Floats]:
        """All outputs for int64 arrays; raises UnusableReferenceError if one holds NaN or infinity.

        With `kept` (batch, token) only those tokens go through the head, and the outputs of the others are 0. Over a
        vocabulary the head is most of the work. This is for heads whose layers look at one token at a time.
        """
        outputs = self.compute(feeds) if kept is None else self._compute_kept(feeds, kept)
        for name, output in outputs.items():
            if not is_finite(output if kept is None else output[kept]):
                raise UnusableReferenceError(
                    f"eager PyTorch gives NaN or infinity in {name!r} of shape {output.shape}",
                    hint="look for NaN in the checkpoint's weights",
                )
        return outputs

    def compute(self, feeds: Feeds) -> dict[str, Floats]:
        """All outputs, unchecked; this is what is timed."""
        with torch.inference_mode():
            outputs = self.model(
                torch.from_numpy(feeds["input_ids"]), torch.from_numpy(feeds["attention_mask"])
            )
        return {
            name: output.to(torch.float32).numpy()
            for name, output in zip(self.model.outputs, outputs, strict=True)
        }

    def _compute_kept(self, feeds: Feeds, kept: Bools) -> dict[str, Floats]:
        # Several threads share the model, but not the choice of tokens.
        self._thread.kept = torch.from_numpy(kept)
        try:
            outputs = self.compute(feeds)
        finally:
            self._thread.kept = None
        return {name: _scattered(output, kept) for name, output in outputs.items()}

    def _only_kept(self, module: nn.Module, inputs: tuple[Tensor, ...], hidden_BTC: Tensor) -> Tensor | None:
        """The hidden states of the kept tokens, (tokens, C); None, which changes nothing, where all are kept."""
        kept = getattr(self._thread, "kept", None)
        return None if kept is None else hidden_BTC[kept]


def _scattered(values: Floats, kept: Bools) -> Floats:
    """The `values` of the kept tokens at their places, 0 elsewhere, where the memory is never touched."""
    whole = np.zeros((*kept.shape, *values.shape[1:]), dtype=np.float32)
    whole[kept] = values
    return whole


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch uses `count` threads inside the `with` statement."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
