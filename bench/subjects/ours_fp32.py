"""Our own fp32 file for ONNX Runtime's CPU provider."""

from functools import partial

from bench import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-fp32",
        title="distilforge fp32",
        settings="distilforge compile --variant onnxruntime-cpu:fp32, opened by the runtime's engine",
        packages=("onnxruntime",),
        prepare=partial(release_folder.prepare, variant="onnxruntime-cpu:fp32"),
        open=release_folder.open_variant,
    )
)
