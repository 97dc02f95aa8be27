"""PyTorch with eager attention."""

from functools import partial

from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, add_both
from bench.models import checkpoint

_OPEN = partial(torch_runner.open_model, attention="eager")

add_both(
    Subject(
        name="pytorch-eager",
        title="eager",
        settings=torch_runner.SETTINGS.format("eager"),
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(_OPEN, copies=False),
    ),
    _OPEN,
)
