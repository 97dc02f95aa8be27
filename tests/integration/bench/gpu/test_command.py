"""`python -m bench.gpu` where something is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from distilforge.cuda import driver
from distilforge.errors import TimingError

from bench.contest.preparation import row
from bench.gpu import memory, opening
from bench.gpu.report import SMALL
from bench.gpu.subjects import subjects

ROOT = Path(__file__).parents[4]


@pytest.mark.skipif(not isinstance(driver.survey(), str), reason="this machine has an NVIDIA GPU")
def test_a_machine_without_a_gpu_gets_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    options = ["--output", str(tmp_path / "output"), "--cache", str(tmp_path / "cache")]
    process = subprocess.run(
        [sys.executable, "-m", "bench.gpu", *options], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert process.returncode == 3
    assert process.stdout == ""
    (line,) = process.stderr.strip().splitlines()
    assert line.startswith("nothing to time here: this machine")
    assert not any(tmp_path.iterdir())


def test_a_column_that_does_not_open_has_the_last_line_of_its_process(tmp_path: Path) -> None:
    absent = row(subjects.find("pytorch-eager"), tmp_path / "absent")
    with pytest.raises(TimingError, match=r"the process of eager ended with exit code 1: .+"):
        memory.measure_alone(opening.timing_subject(absent), [SMALL])
