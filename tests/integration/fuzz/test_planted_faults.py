"""The fuzzer finds faults of every kind: each of these tests would fail if it overlooked one."""

import json
from pathlib import Path

import pytest

from tests.fuzz.mutations.choices import BYTES, Choices
from tests.fuzz.process import ReaderProcess, SampleError
from tests.fuzz.search import Search
from tests.fuzz.target import Input
from tests.integration.fuzz import planted

# A search finds the fault in one of the first inputs; a slow machine reads few of them a second
SECONDS, TRIES = 2.0, 15


def named(name: str) -> Input:
    return Input(name="planted.json", content=json.dumps({"name": name}).encode())


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("abort", "crash: signal SIGABRT"),
        ("exit", "crash: exit code 0"),
        ("panic", "tests.integration.fuzz.planted.PanicError at planted.py"),
        ("memory", "memory"),
        ("hang", "hang: too much processor time"),
    ],
)
def test_a_fault_is_a_finding_and_the_next_input_is_read(tmp_path: Path, name: str, finding: str) -> None:
    with ReaderProcess(planted.__name__, tmp_path) as process:
        assert process.read(named(name)).finding.startswith(finding)
        assert not process.read(planted.SAMPLE).finding


def test_errors_of_the_target_are_no_findings(tmp_path: Path) -> None:
    with ReaderProcess(planted.__name__, tmp_path) as process:
        outcome = process.read(Input(name="planted.json", content=b"{"))
    assert (outcome.error, outcome.finding) == ("RefusalError", "")


def test_a_search_finds_the_planted_fault_and_shrinks_it(tmp_path: Path) -> None:
    search = Search("planted", planted.__name__, tmp_path)
    for seed in range(TRIES):
        if search.run(SECONDS, seed).findings:
            break
    finding = search.tally.findings[0]
    assert finding.outcome.finding.startswith("builtins.")
    assert "planted.py" in finding.outcome.finding
    # As small as it was, or smaller: nothing was added that the fault does not need
    assert len(finding.input.content) <= len(planted.SAMPLE.content) + 16


def test_a_target_that_refuses_its_samples_is_an_error(tmp_path: Path) -> None:
    with (
        ReaderProcess("tests.integration.fuzz.unusable", tmp_path) as process,
        pytest.raises(SampleError, match="RefusalError"),
    ):
        process.start()


def test_the_same_bytes_give_the_same_mutation() -> None:
    content = bytes(range(BYTES))
    first, second = (planted.TARGET.mutate(planted.SAMPLE, Choices(content)) for _ in range(2))
    assert first == second != planted.SAMPLE.content
