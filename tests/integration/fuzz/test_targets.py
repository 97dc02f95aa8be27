"""A few seconds of fuzzing for every target, and the inputs that once led to a finding."""

from pathlib import Path

import pytest

from tests.fuzz import samples, targets
from tests.fuzz.process import ReaderProcess
from tests.fuzz.search import Search
from tests.fuzz.target import Input

SECONDS = 2.0
CASES = Path(samples.__file__).parent / "cases"


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("fuzz") / "samples")


@pytest.mark.parametrize("name", targets.names())
def test_no_findings(sample_folder: Path, name: str) -> None:
    cases = [path for path in sorted((CASES / name).rglob("*")) if path.is_file()]
    with ReaderProcess(targets.module(name), sample_folder) as process:
        for path in cases:
            outcome = process.read(Input(name=path.name, content=path.read_bytes()))
            assert not outcome.finding, f"{path}: {outcome}"
    tally = Search(name, targets.module(name), sample_folder).run(SECONDS, seed=1)
    assert tally.inputs
    assert tally.findings == []


def test_every_case_has_a_target() -> None:
    assert {path.name for path in CASES.iterdir()} <= set(targets.names())
