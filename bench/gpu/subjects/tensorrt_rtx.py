"""Our engine of TensorRT-RTX."""

from functools import partial

from bench.gpu import compiled
from bench.gpu.engine_runner import CLOCK, EngineRunner
from bench.gpu.subjects import Subject, subjects

VARIANT = "tensorrt-rtx:fp16"

subjects.add(
    Subject(
        name="tensorrt-rtx",
        title="TensorRT-RTX",
        settings=f"distilforge compile --variant {VARIANT}, called through distilforge's runtime",
        clock=CLOCK,
        packages=("tensorrt-rtx",),
        prepare=partial(compiled.prepare, variant=VARIANT),
        open=EngineRunner,
        engine=True,
    )
)
