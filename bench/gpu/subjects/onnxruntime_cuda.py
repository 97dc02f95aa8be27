"""The fp16 graph of this project in the CUDA provider of ONNX Runtime, with and without CUDA graphs.

The runtime of distilforge copies, as its users have it, where it uses CUDA graphs; plain ONNX Runtime does the rest.
"""

from functools import partial
from pathlib import Path

from bench.gpu.compiling import prepare
from bench.gpu.engine_runner import open_engine
from bench.gpu.onnxruntime_runner import OnnxRuntimeRunner
from bench.gpu.runner import GpuRunner
from bench.gpu.subjects import Subject, add_both

TARGET = "onnxruntime-cuda"
VARIANT = f"{TARGET}:fp16"
FAMILY = "ONNX Runtime CUDA"
SETTINGS = f"distilforge compile of {VARIANT}"


def _open_with_graphs(folder: Path, *, copies: bool) -> GpuRunner:
    if copies:
        return open_engine(folder, copies=True)
    return OnnxRuntimeRunner(folder, graphs=True, copies=False)


_OPEN_WITHOUT_GRAPHS = partial(OnnxRuntimeRunner, graphs=False)

for name, title, settings, open_runner in (
    ("onnxruntime-cuda", FAMILY, "run by onnxruntime, arrays bound on the device", _OPEN_WITHOUT_GRAPHS),
    (
        "onnxruntime-cuda-graphs",
        f"{FAMILY}, CUDA graphs",
        "enable_cuda_graph, run by onnxruntime, and with copies by the runtime of distilforge",
        _open_with_graphs,
    ),
):
    add_both(
        Subject(
            name=name,
            title=title,
            settings=f"{SETTINGS}, {settings}",
            packages=("onnxruntime-gpu",),
            prepare=partial(prepare, variant=VARIANT),
            target=TARGET,
            open=partial(open_runner, copies=False),
            family=FAMILY,
        ),
        open_runner,
    )
