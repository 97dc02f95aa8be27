"""PyTorch with eager attention."""

from functools import partial

from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, subjects
from bench.models import checkpoint

subjects.add(
    Subject(
        name="pytorch-eager",
        title="eager",
        settings=torch_runner.SETTINGS.format("eager"),
        clock=torch_runner.CLOCK,
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(torch_runner.open_model, attention="eager"),
    )
)
