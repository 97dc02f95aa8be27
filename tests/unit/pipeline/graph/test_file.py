"""What commands that read any ONNX file refuse."""

from pathlib import Path

import pytest
from onnx import FunctionProto

from pipeline.engines.preflight.check import check
from pipeline.errors import UsageError
from pipeline.graph import file
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.onnx_functions import HOSTILE, write


@HOSTILE
def test_functions_that_cannot_be_expanded(tmp_path: Path, own: list[FunctionProto], message: str) -> None:
    path = write(tmp_path, own)
    expected = rf"model\.onnx is not usable: {message}"
    with pytest.raises(UsageError, match=expected):
        file.load(path)
    with pytest.raises(UsageError, match=expected):
        check(path, TENSORRT_RTX)
