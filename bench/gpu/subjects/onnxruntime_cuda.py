"""The fp16 graph of this project in the CUDA provider of ONNX Runtime, with and without CUDA graphs."""

from functools import partial

from bench.gpu.compiling import prepare
from bench.gpu.onnxruntime_runner import OnnxRuntimeRunner
from bench.gpu.subjects import Subject, add_both

VARIANT = "onnxruntime-cuda:fp16"
FAMILY = "ONNX Runtime CUDA"

for name, title, graphs in (
    ("onnxruntime-cuda", FAMILY, False),
    ("onnxruntime-cuda-graphs", f"{FAMILY}, CUDA graphs", True),
):
    add_both(
        Subject(
            name=name,
            title=title,
            settings=f"distilforge compile of {VARIANT}, inputs and outputs bound on the device"
            + (", enable_cuda_graph" if graphs else ""),
            packages=("onnxruntime-gpu",),
            prepare=partial(prepare, variant=VARIANT),
            open=partial(OnnxRuntimeRunner, graphs=graphs, copies=False),
            family=FAMILY,
        ),
        partial(OnnxRuntimeRunner, graphs=graphs),
    )
