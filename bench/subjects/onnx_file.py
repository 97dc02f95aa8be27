"""A given .onnx file: candidates are timed so without a release around them."""

import shutil
from pathlib import Path

from bench.onnx_session import open_session
from bench.subjects import Answer, Subject, subjects

SETTINGS = "session.json"


def _prepare(checkpoint: Path, folder: Path) -> None:
    """Copy a file given as the checkpoint, with what stands beside it."""
    for path in checkpoint.parent.glob(f"{checkpoint.stem}*"):
        shutil.copyfile(path, folder / path.name)


def _open(path: Path, threads: int) -> Answer:
    """`path` is the file, or PATH@key=value,key=value to set ONNX Runtime's session up."""
    name, _, listed = str(path).partition("@")
    settings = dict(pair.split("=", 1) for pair in listed.split(",") if pair)
    return open_session(Path(name), threads, settings)


subjects.add(
    Subject(
        name="onnx-file",
        title="given file",
        settings="ONNX Runtime, CPU provider",
        packages=("onnxruntime",),
        prepare=_prepare,
        open=_open,
    )
)
