"""Our own INT8 file for ONNX Runtime's CPU provider."""

from functools import partial

from bench import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-int8",
        title="distilforge INT8",
        settings="distilforge compile --variant onnxruntime-cpu:int8, opened by the runtime's engine",
        packages=("onnxruntime",),
        prepare=partial(release_folder.prepare, variant="onnxruntime-cpu:int8"),
        open=release_folder.open_variant,
    )
)
