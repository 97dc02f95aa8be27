"""The TensorRT engine of this project."""

from functools import partial

from bench.gpu.engine_runner import CLOCK, EngineRunner
from bench.gpu.subjects import Subject, subjects
from bench.models import release_folder

VARIANT = "tensorrt:fp16"

subjects.add(
    Subject(
        name="tensorrt",
        title="TensorRT",
        settings=f"distilforge compile --variant {VARIANT}, called through the runtime of distilforge",
        clock=CLOCK,
        packages=("tensorrt",),
        prepare=partial(release_folder.prepare, variant=VARIANT),
        open=EngineRunner,
        engine=True,
    )
)
