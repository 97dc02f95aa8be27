"""The checkpoint in PyTorch, loaded with transformers as its users do."""

from pathlib import Path
from typing import Literal

from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Answer, Logits


def open_model(
    folder: Path,
    threads: int,
    *,
    attention: Literal["eager", "sdpa"],
    precision: Literal["float32", "bfloat16"],
) -> Answer:
    """Open the DistilBERT classifier of transformers at `folder`, in inference mode."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    model = transformers.DistilBertForSequenceClassification.from_pretrained(
        folder, attn_implementation=attention, dtype=getattr(torch, precision)
    ).eval()

    def answer(ids: Ids, mask: Ids) -> Logits:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
        converted: Logits = logits.to(torch.float32).numpy()
        return converted

    return answer
