"""An .onnx file that the user gives, so that a candidate can be timed without a release around it."""

from pathlib import Path

from distilforge.manifest import Variant
from distilforge.onnxruntime.settings import Settings

from bench.contest.base_subject import Answer
from bench.contest.rows import Row
from bench.models.onnx_session import open_session
from bench.subjects import Subject, subjects

NAME = "onnx-file"
SETTINGS = "ONNX Runtime, CPU provider"


def given_file(file: str, *, name: str | None = None) -> Row:
    """The row `name` of `file`, written as `_open` takes it; the file's name is used if `name` is None."""
    title = name or Path(file.partition("@")[0]).name
    return Row(name=title, subject=NAME, source=file, settings=SETTINGS, family=title)


def _open(path: Path, threads: int) -> Answer:
    """Open PATH or PATH@key=value,key=value.

    The values set up the session of ONNX Runtime, as the `session` of a variant does. In a value, ";" stands for ",".
    """
    file, _, listed = str(path).partition("@")
    pairs = (pair.split("=", 1) for pair in listed.split(",") if pair)
    session = {key: value.replace(";", ",") for key, value in pairs}
    variant = Variant(target="onnxruntime-cpu", precision="given", files=(file,), session=session)
    return open_session(Path(file), threads, Settings.of(variant))


subjects.add(
    Subject(
        name=NAME,
        title="given file",
        settings=SETTINGS,
        packages=("onnxruntime",),
        prepare=None,
        open=_open,
    )
)
