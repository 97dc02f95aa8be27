"""The reference: the checkpoint in eager PyTorch, in float32, answering the same arrays as the release."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from model_src.checkpoint import load_checkpoint
from validation.agreement import is_finite
from validation.batches import Feeds
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

    def run(self, feeds: Feeds) -> dict[str, Floats]:
        """Every output for int64 arrays; UnusableReferenceError where one holds NaN or infinity."""
        named = self.compute(feeds)
        for name, output in named.items():
            if not is_finite(output):
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


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch on `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
