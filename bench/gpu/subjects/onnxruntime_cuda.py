"""The fp16 graph of this project in the CUDA provider of ONNX Runtime."""

from functools import partial

from bench.gpu.onnxruntime_runner import OnnxRuntimeRunner
from bench.gpu.subjects import Subject, subjects
from bench.models import release_folder

VARIANT = "onnxruntime-cuda:fp16"

subjects.add(
    Subject(
        name="onnxruntime-cuda",
        title="ONNX Runtime CUDA",
        settings=f"distilforge compile --variant {VARIANT}, a session with inputs and outputs bound on the device",
        clock="wall clock around a run and a wait for its outputs, inputs on the device",
        packages=("onnxruntime-gpu",),
        prepare=partial(release_folder.prepare, variant=VARIANT),
        open=OnnxRuntimeRunner,
    )
)
