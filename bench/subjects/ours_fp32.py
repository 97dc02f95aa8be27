"""Our own fp32 file for ONNX Runtime's CPU provider."""

from pathlib import Path

from bench import release_folder
from bench.subjects import Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    release_folder.prepare(checkpoint, "onnxruntime-cpu:fp32", folder)


subjects.add(
    Subject(
        name="ours-fp32",
        title="distilforge fp32",
        settings="distilforge compile --variant onnxruntime-cpu:fp32, opened by the runtime's engine",
        packages=("onnxruntime",),
        prepare=_prepare,
        open=release_folder.open_variant,
    )
)
