"""What is remembered counts for the same release, machine, engines and threads, and is never an error."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge.errors import UnavailableError
from distilforge.manifest import FileRecord
from distilforge.measured import memory, place
from distilforge.measured.memory import Remembered

from tests.outcomes import FP32, INT8, remembered
from tests.runtime_release import copied, read_manifest, write_manifest

SPEEDS = {FP32: 1.0, INT8: 2.1}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place.folder()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return copied("sequence_classification", tmp_path / "release")


def test_it_comes_back(release: Path) -> None:
    kept = remembered(release, SPEEDS)
    path = memory.remember(kept)
    assert memory.recall(read_manifest(release), None) == kept
    assert path.parent.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_the_last_one_counts(release: Path) -> None:
    memory.remember(remembered(release, SPEEDS))
    last = remembered(release, {FP32: 1.0, INT8: 0.5})
    memory.remember(last)
    assert memory.recall(read_manifest(release), None) == last


def test_other_threads_are_another_outcome(release: Path) -> None:
    memory.remember(remembered(release, SPEEDS, threads=2))
    manifest = read_manifest(release)
    assert memory.recall(manifest, None) is None
    assert memory.recall(manifest, 1) is None
    assert memory.recall(manifest, 2) is not None


@pytest.mark.parametrize(
    "other",
    [
        lambda machine: replace(machine, model="another processor"),
        lambda machine: replace(machine, instruction_sets=(*machine.instruction_sets, "amx_int8")),
        lambda machine: replace(machine, cores=machine.cores + 1),
    ],
)
def test_another_machine_is_another_outcome(release: Path, other: Callable[..., object]) -> None:
    kept = remembered(release, SPEEDS)
    processor = other(kept.conditions.processor)
    memory.remember(replace(kept, conditions=replace(kept.conditions, processor=processor)))  # type: ignore[arg-type]
    assert memory.recall(read_manifest(release), None) is None


def test_another_version_of_the_engine_is_another_outcome(release: Path) -> None:
    kept = remembered(release, SPEEDS)
    assert "onnxruntime" in kept.conditions.versions
    versions = {**kept.conditions.versions, "onnxruntime": "0.0.1"}
    memory.remember(replace(kept, conditions=replace(kept.conditions, versions=versions)))
    assert memory.recall(read_manifest(release), None) is None


def test_another_release_of_the_same_name_is_another_outcome(release: Path) -> None:
    memory.remember(remembered(release, SPEEDS))
    manifest = read_manifest(release)
    name, record = next(iter(manifest.files.items()))
    files = {**manifest.files, name: FileRecord(sha256="f" * 64, bytes=record.bytes)}
    assert memory.recall(replace(manifest, files=files), None) is None
    assert memory.recall(replace(manifest, version="another"), None) is None
    assert memory.recall(manifest, None) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": 2}',
        b'{"schema": 1}',
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 10_000 + b"}",
        b" " * (1 << 21),
    ],
)
def test_a_file_that_does_not_read_counts_as_absent(
    release: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    memory.remember(remembered(release, SPEEDS)).write_bytes(content)
    with caplog.at_level(logging.DEBUG, logger="distilforge"):
        assert memory.recall(read_manifest(release), None) is None
        distilforge.open(release)
    assert "cannot be read" in caplog.text


def test_a_torn_file_counts_as_absent(release: Path) -> None:
    path = memory.remember(remembered(release, SPEEDS))
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:end])
        assert memory.recall(read_manifest(release), None) is None


@pytest.mark.parametrize("speed", ["0", "-1", "NaN", "Infinity", "1e999", "true", '"2"', "1" + "0" * 400])
def test_a_speed_that_is_none_counts_as_absent(release: Path, speed: str) -> None:
    path = memory.remember(remembered(release, {FP32: 1.0, INT8: 2.125}))
    path.write_text(path.read_text().replace("2.125", speed))
    assert memory.recall(read_manifest(release), None) is None


def test_a_file_under_the_name_of_another_counts_as_absent(release: Path) -> None:
    path = memory.remember(remembered(release, SPEEDS))
    other = remembered(release, SPEEDS, threads=7)
    path.write_text(other.to_json())
    assert memory.recall(read_manifest(release), None) is None


def test_a_cache_that_cannot_be_written(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the folder's place refuses writing to root too, as rights do not."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UnavailableError, match="cache cannot be written"):
        memory.remember(remembered(release, SPEEDS))
    assert memory.recall(read_manifest(release), None) is None
    assert not place.is_remembered(read_manifest(release))
    distilforge.open(release)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache(release: Path, cache: Path) -> None:
    kept = remembered(release, SPEEDS)
    memory.remember(kept)
    cache.chmod(0o500)
    try:
        with pytest.raises(UnavailableError, match="cache cannot be written"):
            memory.remember(replace(kept, speeds={FP32: 1.0}))
        assert memory.recall(read_manifest(release), None) == kept
    finally:
        cache.chmod(0o700)


def test_a_user_without_a_home(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert not place.is_remembered(read_manifest(release))
    assert memory.recall(read_manifest(release), None) is None
    with pytest.raises(UnavailableError, match="Could not determine home"):
        memory.remember(remembered(release, SPEEDS))


def test_writers_at_once_leave_a_whole_outcome(release: Path, cache: Path) -> None:
    outcomes = [remembered(release, {FP32: 1.0, INT8: 1.0 + number}) for number in range(8)]
    manifest = read_manifest(release)
    memory.remember(outcomes[0])
    seen: list[Remembered | None] = []

    def write(outcome: Remembered) -> None:
        for _ in range(10):
            memory.remember(outcome)
            seen.append(memory.recall(manifest, None))

    writers = [threading.Thread(target=write, args=(outcome,)) for outcome in outcomes]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(seen) == 80
    assert all(outcome in outcomes for outcome in seen)
    assert len(list(cache.iterdir())) == 1


def test_the_newest_are_kept_and_what_killed_writers_left_goes(
    release: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "KEPT", 3)
    for number in range(1, 6):
        path = memory.remember(remembered(release, SPEEDS, threads=number))
        os.utime(path, (number, number))
    old, young = cache / ".aside-old", cache / ".aside-young"
    for aside in (old, young):
        aside.write_text("")
    os.utime(old, (1, 1))
    memory.remember(remembered(release, SPEEDS, threads=6))
    manifest = read_manifest(release)
    kept = [number for number in range(1, 7) if memory.recall(manifest, number) is not None]
    assert kept == [4, 5, 6]
    assert (old.exists(), young.exists()) == (False, True)


def test_forgetting_takes_one_release_alone(release: Path, tmp_path: Path) -> None:
    other = copied("sequence_classification", tmp_path / "other")
    write_manifest(other, replace(read_manifest(other), name="other"))
    for threads in (None, 2):
        memory.remember(remembered(release, SPEEDS, threads=threads))
    memory.remember(remembered(other, SPEEDS))
    assert memory.forget(read_manifest(release)) == 2
    assert memory.forget(read_manifest(release)) == 0
    assert memory.recall(read_manifest(other), None) is not None
