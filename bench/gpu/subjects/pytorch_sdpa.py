"""PyTorch with scaled_dot_product_attention."""

from functools import partial

from bench import checkpoint
from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, subjects

subjects.add(
    Subject(
        name="pytorch-sdpa",
        title="SDPA",
        settings=torch_runner.SETTINGS.format("sdpa"),
        clock=torch_runner.CLOCK,
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(torch_runner.open_model, attention="sdpa"),
    )
)
