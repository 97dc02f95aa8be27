"""Our engine of TensorRT."""

from functools import partial

from bench.gpu import compiled
from bench.gpu.engine_runner import CLOCK, EngineRunner
from bench.gpu.subjects import Subject, subjects

VARIANT = "tensorrt:fp16"

subjects.add(
    Subject(
        name="tensorrt",
        title="TensorRT",
        settings=f"distilforge compile --variant {VARIANT}, called through distilforge's runtime",
        clock=CLOCK,
        packages=("tensorrt",),
        prepare=partial(compiled.prepare, variant=VARIANT),
        open=EngineRunner,
        engine=True,
    )
)
