"""PyTorch in fp32 with scaled_dot_product_attention."""

from functools import partial

from bench import checkpoint
from bench.subjects import Subject, subjects
from bench.torch_model import open_model

subjects.add(
    Subject(
        name="pytorch-sdpa",
        title="PyTorch SDPA fp32",
        settings="transformers, attn_implementation=sdpa, float32 weights, inference mode",
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(open_model, attention="sdpa", precision="float32"),
    )
)
