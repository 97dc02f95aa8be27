"""The TensorRT engine of this project."""

from functools import partial

from bench.gpu.compiling import prepare
from bench.gpu.engine_runner import open_engine
from bench.gpu.subjects import Subject, add_both

TARGET = "tensorrt"
VARIANT = f"{TARGET}:fp16"

add_both(
    Subject(
        name="tensorrt",
        title="TensorRT",
        settings=f"distilforge compile of {VARIANT} for the shapes that are timed, run by the runtime of distilforge "
        "with CUDA graphs",
        packages=("tensorrt",),
        prepare=partial(prepare, variant=VARIANT),
        target=TARGET,
        open=partial(open_engine, copies=False),
    ),
    open_engine,
)
