"""torch.compile in its best mode for inference: a graph per shape, replayed as a CUDA graph."""

from functools import partial

from bench.gpu import torch_runner
from bench.gpu.subjects import Subject, subjects
from bench.models import checkpoint

MODE = "reduce-overhead"

subjects.add(
    Subject(
        name="torch-compile",
        title="torch.compile",
        settings=torch_runner.SETTINGS.format("sdpa") + f", torch.compile(mode={MODE!r}, dynamic=False)",
        clock=torch_runner.CLOCK,
        packages=("torch", "transformers"),
        prepare=checkpoint.copy,
        open=partial(torch_runner.open_model, attention="sdpa", compiled=MODE),
    )
)
