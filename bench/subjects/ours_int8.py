"""The INT8 file of this project for the CPU provider of ONNX Runtime."""

from functools import partial

from bench.models import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-int8",
        title="distilforge INT8",
        settings="distilforge compile --variant onnxruntime-cpu:int8, opened with the engine of the runtime",
        packages=("onnxruntime",),
        prepare=partial(release_folder.prepare, variant="onnxruntime-cpu:int8"),
        open=release_folder.open_variant,
    )
)
