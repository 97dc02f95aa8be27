"""How the self-test of a package is run and read."""

from pathlib import Path

import pytest

from pipeline.errors import MissingError, StageError
from pipeline.packages.assembly import testing
from pipeline.packages.assembly.record import PackageRecord
from pipeline.packages.assembly.testing import SelfTest


def run(folder: Path, script: str, program: str = "python") -> SelfTest:
    """The result of the self-test `script`."""
    record = PackageRecord(
        format=1,
        kind="server",
        name="reviews",
        version="0123456789ab",
        manifest_sha256="",
        signer="",
        variant="onnxruntime-cpu:fp32",
        reason="it was asked for",
        self_test=(program, "-c", script),
        files={},
    )
    return testing.run(record, folder)


def test_the_last_line_is_the_result(tmp_path: Path) -> None:
    script = (
        "import json\nprint('loading')\n"
        "print(json.dumps({'client': 'a 1', 'start_seconds': 0.5, 'examples': 2, 'largest_error': 0}))"
    )
    assert run(tmp_path, script) == SelfTest(client="a 1", start_seconds=0.5, examples=2, largest_error=0.0)


def test_a_wrong_answer_shows_its_message(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="exit code 1: logits differ by a lot"):
        run(tmp_path, "import sys; sys.exit('logits differ by a lot')")


def test_a_client_that_is_missing(tmp_path: Path) -> None:
    script = "import sys; print('no openvino here', file=sys.stderr); sys.exit(3)"
    with pytest.raises(MissingError, match="no openvino here"):
        run(tmp_path, script)
    with pytest.raises(MissingError, match="no-such-program"):
        run(tmp_path, script, program="no-such-program")


@pytest.mark.parametrize("line", ["", "passed", "{}", "[]", '{"client": "a 1", "start_seconds": "soon"}'])
def test_a_self_test_without_a_result_is_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(StageError, match="largest_error"):
        run(tmp_path, f"print({line!r})")
