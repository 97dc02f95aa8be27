"""How the self-test of a package is run and read."""

import subprocess
import time
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


def test_an_interrupted_self_test_ends_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import os, subprocess, sys, tempfile, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
folder = tempfile.mkdtemp()
with open("started.tmp", "w") as file:
    file.write(f"{child.pid} {folder}")
os.rename("started.tmp", "started")
time.sleep(60)
"""

    def interrupted(process: "subprocess.Popen[str]", **options: object) -> None:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, script)
    child, folder = (tmp_path / "started").read_text().split()
    assert not Path(folder).exists()
    deadline = time.monotonic() + 30
    # A process that ended stays until its parent, which ended too, or init asks for it
    while is_running(int(child)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
