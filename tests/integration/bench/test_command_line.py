"""The command line of the benchmark, in a process of its own."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "command", [("texts", "--subjects", "nobody"), ("quick", "absent.onnx", "--against", "nobody")]
)
def test_an_unknown_subject_is_one_line_that_names_the_others(command: tuple[str, ...]) -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "bench", *command),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("error: unknown subject 'nobody'; known: ")
    assert finished.stderr.count("\n") == 1


def test_a_head_without_texts_is_one_line_that_names_the_others() -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "bench", "texts", "any.onnx", "--subjects", "", "--heads", "nobody"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("error: unknown head 'nobody'; known: features, ")
    assert finished.stderr.count("\n") == 1


def test_nothing_to_time_is_refused() -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "bench", "texts", "--subjects", ""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("error: there is nothing to time\n  hint: name a FILE.onnx")
