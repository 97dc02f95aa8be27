"""PyTorch with scaled_dot_product_attention."""

from functools import partial

from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, add_both
from bench.models import checkpoint

_OPEN = partial(torch_runner.open_model, attention="sdpa")

add_both(
    Subject(
        name="pytorch-sdpa",
        title="SDPA",
        settings=torch_runner.SETTINGS.format("sdpa"),
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(_OPEN, copies=False),
    ),
    _OPEN,
)
