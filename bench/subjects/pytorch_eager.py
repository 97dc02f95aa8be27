"""PyTorch in fp32 with eager attention."""

from functools import partial

from bench.models import checkpoint
from bench.models.torch_model import open_model
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="pytorch-eager",
        title="PyTorch eager fp32",
        settings="transformers, attn_implementation=eager, float32 weights, inference mode",
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(open_model, attention="eager", precision="float32"),
    )
)
