"""PyTorch in bf16 with scaled_dot_product_attention."""

from functools import partial

from bench import checkpoint
from bench.subjects import Subject, subjects
from bench.torch_model import open_model

subjects.add(
    Subject(
        name="pytorch-sdpa-bf16",
        title="PyTorch SDPA bf16",
        settings="transformers, attn_implementation=sdpa, bfloat16 weights, inference mode",
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(open_model, attention="sdpa", precision="bfloat16"),
    )
)
