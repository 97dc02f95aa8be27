"""A given .onnx file: candidates are timed so without a release around them."""

import shutil
from pathlib import Path

from distilforge.manifest import Variant
from distilforge.onnxruntime.settings import Settings

from bench.onnx_session import open_session
from bench.subjects import Answer, Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    """Copy a file given as the checkpoint, with what stands beside it."""
    for path in checkpoint.parent.glob(f"{checkpoint.stem}*"):
        shutil.copyfile(path, folder / path.name)


def _open(path: Path, threads: int) -> Answer:
    """`path` is the file, or PATH@key=value,key=value to set ONNX Runtime's session up, as a variant's `session` does.

    Within a value ";" stands for the comma.
    """
    name, _, listed = str(path).partition("@")
    pairs = (pair.split("=", 1) for pair in listed.split(",") if pair)
    session = {key: value.replace(";", ",") for key, value in pairs}
    variant = Variant(target="onnxruntime-cpu", precision="given", files=(name,), session=session)
    return open_session(Path(name), threads, Settings.of(variant))


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
