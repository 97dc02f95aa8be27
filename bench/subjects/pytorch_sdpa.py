"""PyTorch in fp32 with scaled_dot_product_attention."""

from functools import partial

from bench.models import checkpoint
from bench.models.torch_model import open_model
from bench.subjects import Subject, subjects

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
