"""Subjects are prepared once; one that cannot be prepared costs only its own row."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.contest import preparation, preparation_process
from bench.contest.preparation import STAMP, prepare_all, prepare_once
from bench.contest.preparation_process import PreparationError
from bench.subjects import subjects

COPY = subjects.find("pytorch-eager")
"""A subject whose preparation is a copy of the checkpoint."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that can be copied, but not read."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


def test_missing_packages_and_failures_cost_a_row_each(checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    prepare = partial(
        prepare_once,
        registry=preparation_process.CPU,
        checkpoint=checkpoint,
        cache=tmp_path,
        progress=lines.append,
    )
    missing = replace(COPY, title="Missing", packages=("numpy", "no-such-package"))
    failing = subjects.find("ours-int8")
    rows, omissions = prepare_all(
        [missing, failing, COPY], prepare, install="pip install {packages}", progress=lines.append
    )
    assert [row.name for row in rows] == [COPY.title]
    assert (Path(rows[0].source) / "config.json").is_file()
    assert [omission.name for omission in omissions] == ["Missing", failing.title]
    assert omissions[0].reason == "not installed: no-such-package; pip install no-such-package"
    assert not any(omission.tolerated for omission in omissions)
    assert "exit code 1, see " in omissions[1].reason
    assert f"leaving out Missing: {omissions[0].reason}" in lines
    # It is prepared again next time
    assert not (tmp_path / failing.name / STAMP).exists()


def test_what_is_prepared_already_is_not_prepared_again(checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    first = prepare_once(COPY, preparation_process.CPU, checkpoint, tmp_path, lines.append)
    (first / "kept").touch()
    assert prepare_once(COPY, preparation_process.CPU, checkpoint, tmp_path, lines.append) == first
    assert (first / "kept").exists()
    assert len(lines) == 1
    (checkpoint / "config.json").write_text('{"dim": 8}', encoding="utf-8")
    prepare_once(COPY, preparation_process.CPU, checkpoint, tmp_path, lines.append)
    assert not (first / "kept").exists()


def test_a_failed_preparation_has_the_last_line_of_its_process(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"FileNotFoundError.*absent.*exit code 1"):
        preparation.prepare(COPY, preparation_process.CPU, tmp_path / "absent", tmp_path, print)


def test_a_benchmark_is_complete_without_what_is_optional_or_needs_another_machine(
    checkpoint: Path, tmp_path: Path
) -> None:
    prepare = partial(
        prepare_once,
        registry=preparation_process.CPU,
        checkpoint=checkpoint,
        cache=tmp_path,
        progress=lambda line: None,
    )
    optional = replace(COPY, title="Optional", packages=("no-such-package",), install="pip install it")
    unfit = replace(COPY, title="Unfit", obstacle=lambda: "the processor has no such instructions")
    fit = replace(COPY, obstacle=lambda: None)
    rows, omissions = prepare_all([optional, unfit, fit], prepare, install="", progress=lambda line: None)
    assert [row.name for row in rows] == [COPY.title]
    assert all(omission.tolerated for omission in omissions)
    assert [omission.reason for omission in omissions] == [
        "not installed: no-such-package; pip install it",
        "the processor has no such instructions",
    ]
