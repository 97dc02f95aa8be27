"""The checkpoint in PyTorch on the GPU, loaded with transformers as its users do."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.runner import GpuRunner

if TYPE_CHECKING:
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

SETTINGS = "transformers, attn_implementation={}, float16 weights, inference mode"
# Every shape has a graph of its own
_MOST_GRAPHS = 64


class TorchRunner(GpuRunner):
    """Runs a model on batches on the device; with `copies`, each run copies its inputs there and its logits back."""

    def __init__(self, model: "Callable[..., SequenceClassifierOutput]", *, copies: bool) -> None:
        self._model = model
        self._copies = copies
        self._host: dict[str, Ids] = {}
        self._batch: dict[str, torch.Tensor] = {}
        self._logits: torch.Tensor | None = None

    def take(self, ids: Ids, mask: Ids) -> None:
        import torch

        self._logits = None
        self._host = {"input_ids": ids, "attention_mask": mask}
        self._batch = {name: torch.from_numpy(array).cuda() for name, array in self._host.items()}
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def run(self) -> None:
        import torch

        with torch.inference_mode():
            if self._copies:
                for name, array in self._host.items():
                    # A CUDA graph reads from the address that it was captured with
                    self._batch[name].copy_(torch.from_numpy(array), non_blocking=True)
            logits = self._model(**self._batch).logits
            assert logits is not None
            # Copying waits for the device
            self._logits = logits.cpu() if self._copies else logits
            if not self._copies:
                torch.cuda.synchronize()

    def logits(self) -> Logits:
        import torch

        assert self._logits is not None
        logits: Logits = self._logits.to(torch.float32).cpu().numpy()
        return logits

    def allocated_bytes(self) -> int | None:
        import torch

        return int(torch.cuda.max_memory_allocated())


def open_model(
    folder: Path, *, attention: Literal["eager", "sdpa"], copies: bool, compiled: str | None = None
) -> TorchRunner:
    """The DistilBERT classifier of transformers at `folder` in float16.

    `compiled` is a mode of torch.compile; None means that the model is not compiled.
    """
    import torch
    import torch._dynamo
    import transformers

    model = (
        transformers.DistilBertForSequenceClassification.from_pretrained(
            folder, attn_implementation=attention, dtype=torch.float16
        )
        .cuda()
        .eval()
    )
    if compiled is None:
        return TorchRunner(model, copies=copies)
    dynamo = torch._dynamo.config
    # PyTorch 2.8 renamed the limit. Beyond it, a shape would run eagerly without a warning
    limit = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"
    setattr(dynamo, limit, _MOST_GRAPHS)
    return TorchRunner(torch.compile(model, mode=compiled, dynamic=False), copies=copies)
