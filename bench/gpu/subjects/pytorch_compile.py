"""torch.compile, a graph for each shape, which is replayed as a CUDA graph."""

from functools import partial

from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, add_both
from bench.models import checkpoint

MODE = "reduce-overhead"

_OPEN = partial(torch_runner.open_model, attention="sdpa", compiled=MODE)

add_both(
    Subject(
        name="torch-compile",
        title="torch.compile",
        settings=torch_runner.SETTINGS.format("sdpa") + f", torch.compile(mode={MODE!r}, dynamic=False)",
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(_OPEN, copies=False),
    ),
    _OPEN,
)
