"""The functions of an ONNX file may not stand for more nodes than an engine can hold, or call one another endlessly."""

from pathlib import Path

import pytest
from distilforge import ReleaseError
from distilforge.checks import functions
from distilforge.manifest import Variant
from distilforge.onnxruntime import engine
from onnx import FunctionProto

from tests.onnx_functions import HOSTILE, NAME, chain, write

VARIANT = Variant(target="onnxruntime-cpu", precision="fp32", files=(NAME,))


@HOSTILE
def test_functions_that_cannot_be_expanded(tmp_path: Path, own: list[FunctionProto], message: str) -> None:
    path = write(tmp_path, own)
    with pytest.raises(ValueError, match=message):
        functions.check(path)
    with pytest.raises(ReleaseError, match=rf"'model\.onnx' is not a readable ONNX file: {message}"):
        engine.new_session(VARIANT, tmp_path, engine.new_options(1), (engine.CPU,))


@pytest.mark.parametrize(
    "own",
    [chain(1, 1), chain(14, 2), chain(32, 1), chain(32, 1)[::-1]],
    ids=["one", "many", "deep", "any order"],
)
def test_functions_that_engines_expand(tmp_path: Path, own: list[FunctionProto]) -> None:
    functions.check(write(tmp_path, own))
    session = engine.new_session(VARIANT, tmp_path, engine.new_options(1), (engine.CPU,))
    assert [output.name for output in session.get_outputs()] == ["y"]
