"""A peer that is not there costs its own row, with the reason, and nothing else."""

from pathlib import Path

from bench.prepared import STAMP, prepare
from bench.rows import Absent, Row
from bench.subjects import Answer, Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    raise AssertionError


def _open(folder: Path, threads: int) -> Answer:
    raise AssertionError


def test_a_subject_whose_package_is_not_installed_is_absent(tmp_path: Path) -> None:
    subject = Subject(
        name="nothing",
        title="Nothing",
        settings="",
        packages=("numpy", "no-such-package"),
        prepare=_prepare,
        open=_open,
    )
    found = prepare(subject, tmp_path, tmp_path, lambda _: None)
    assert isinstance(found, Absent)
    assert "no-such-package" in found.reason
    assert "numpy" not in found.reason


def test_a_subject_that_fails_is_absent_and_is_prepared_again(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}", encoding="utf-8")
    subject = subjects.find(
        "ctranslate2-int8" if not subjects.find("ctranslate2-int8").missing() else "ours-int8"
    )
    found = prepare(subject, checkpoint, tmp_path, lambda _: None)
    assert isinstance(found, Absent)
    assert "preparing it failed" in found.reason
    assert not (tmp_path / subject.name / STAMP).exists()


def test_what_is_prepared_already_is_not_prepared_again(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}", encoding="utf-8")
    subject = subjects.find("pytorch-eager")
    said: list[str] = []
    first = prepare(subject, checkpoint, tmp_path, said.append)
    assert isinstance(first, Row)
    assert prepare(subject, checkpoint, tmp_path, said.append) == first
    assert len(said) == 1
