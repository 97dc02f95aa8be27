"""The fp32 file of this project for the CPU provider of ONNX Runtime."""

from functools import partial

from bench.models import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-fp32",
        title="distilforge fp32",
        settings="distilforge compile --variant onnxruntime-cpu:fp32, opened with the engine of the runtime",
        packages=("onnxruntime",),
        prepare=partial(release_folder.prepare, variant="onnxruntime-cpu:fp32"),
        open=release_folder.open_variant,
    )
)
