"""The TensorRT-RTX engine of this project."""

from functools import partial

from bench.gpu.compiling import prepare
from bench.gpu.engine_runner import open_engine
from bench.gpu.subjects import Subject, add_both

TARGET = "tensorrt-rtx"
VARIANT = f"{TARGET}:fp16"

add_both(
    Subject(
        name="tensorrt-rtx",
        title="TensorRT-RTX",
        settings=f"distilforge compile of {VARIANT} for the shapes that are timed, run by the runtime of distilforge "
        "with CUDA graphs",
        packages=("tensorrt-rtx",),
        prepare=partial(prepare, variant=VARIANT),
        target=TARGET,
        open=partial(open_engine, copies=False),
    ),
    open_engine,
)
