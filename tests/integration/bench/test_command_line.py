"""The command line of the benchmark, in a process of its own."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", [("texts",), ("quick", "absent.onnx")])
def test_an_unknown_subject_is_one_line_that_names_the_others(command: tuple[str, ...]) -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "bench", *command, "--against", "nobody"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("error: unknown subject 'nobody'; known: ")
    assert finished.stderr.count("\n") == 1
