"""A record counts for the same release, machine, engines and threads, and reading one is never an error."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge.cuda import driver
from distilforge.cuda.driver import Device, Driver
from distilforge.errors import UnavailableError
from distilforge.manifest import Manifest
from distilforge.records import benchmark_records as records
from distilforge.records import record_files
from distilforge.records.benchmark_records import BenchmarkRecord
from distilforge.records.conditions import present_conditions
from distilforge.records.processor import Processor

from tests.benchmark_results import FP32, INT8, record
from tests.device_release import device_variant
from tests.runtime_release import GRAPH, read_manifest

SPEEDS = {FP32: 1.0, INT8: 2.1}


@pytest.fixture(autouse=True)
def records_folder(empty_cache: Path) -> Path:
    return record_files.records_folder()


@pytest.fixture
def manifest(release: Path) -> Manifest:
    return read_manifest(release)


def test_a_record_comes_back(manifest: Manifest) -> None:
    kept = record(manifest, SPEEDS)
    path = records.write_record(kept)
    assert records.read_record(manifest, None) == kept
    assert path.parent.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_the_last_record_counts(manifest: Manifest) -> None:
    records.write_record(record(manifest, SPEEDS))
    last = record(manifest, {FP32: 1.0, INT8: 0.5})
    records.write_record(last)
    assert records.read_record(manifest, None) == last


def test_other_threads_need_another_record(manifest: Manifest) -> None:
    records.write_record(record(manifest, SPEEDS, threads=2))
    assert records.read_record(manifest, None) is None
    assert records.read_record(manifest, 1) is None
    assert records.read_record(manifest, 2) is not None


@pytest.mark.parametrize(
    "other",
    [
        lambda machine: replace(machine, model="another processor"),
        lambda machine: replace(machine, instruction_sets=(*machine.instruction_sets, "amx_int8")),
        lambda machine: replace(machine, cores=machine.cores + 1),
    ],
)
def test_another_processor_needs_another_record(
    manifest: Manifest, other: Callable[[Processor], Processor]
) -> None:
    kept = record(manifest, SPEEDS)
    processor = other(kept.conditions.processor)
    records.write_record(replace(kept, conditions=replace(kept.conditions, processor=processor)))
    assert records.read_record(manifest, None) is None


@pytest.fixture
def for_gpu(manifest: Manifest) -> Manifest:
    """The release with a variant for a GPU."""
    variant = device_variant("onnxruntime-cuda", oracle=GRAPH)
    return replace(manifest, variants=(*manifest.variants, variant))


def with_gpus(monkeypatch: pytest.MonkeyPatch, *names: str, cuda: tuple[int, int] = (13, 0)) -> None:
    """Let this machine have GPUs of these names."""
    devices = tuple(Device(index=index, name=name, capability=(8, 6)) for index, name in enumerate(names))
    monkeypatch.setattr(driver, "survey", lambda: Driver(version=cuda, devices=devices))


def test_another_gpu_or_driver_needs_another_record(
    for_gpu: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(monkeypatch, "NVIDIA A10")
    conditions = present_conditions(for_gpu, None)
    assert conditions.gpus == ("NVIDIA A10, compute capability 8.6",)
    assert conditions.versions["cuda-driver"] == "13.0"
    records.write_record(record(for_gpu, SPEEDS))
    assert records.read_record(for_gpu, None) is not None
    with_gpus(monkeypatch, "NVIDIA A10", "NVIDIA A10")
    assert records.read_record(for_gpu, None) is None
    with_gpus(monkeypatch, "NVIDIA A10", cuda=(13, 1))
    assert records.read_record(for_gpu, None) is None
    monkeypatch.setattr(driver, "survey", lambda: "this machine has no NVIDIA driver")
    assert records.read_record(for_gpu, None) is None


def test_a_release_for_the_processor_alone_does_not_depend_on_gpus(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(monkeypatch, "NVIDIA A10")
    records.write_record(record(manifest, SPEEDS))
    assert present_conditions(manifest, None).gpus == ()
    with_gpus(monkeypatch, "NVIDIA H100")
    assert records.read_record(manifest, None) is not None


def test_another_version_of_the_engine_needs_another_record(manifest: Manifest) -> None:
    kept = record(manifest, SPEEDS)
    assert "onnxruntime" in kept.conditions.versions
    versions = {**kept.conditions.versions, "onnxruntime": "0.0.1"}
    records.write_record(replace(kept, conditions=replace(kept.conditions, versions=versions)))
    assert records.read_record(manifest, None) is None


def test_another_release_of_the_same_name_needs_another_record(manifest: Manifest) -> None:
    records.write_record(record(manifest, SPEEDS))
    name, file = next(iter(manifest.files.items()))
    files = {**manifest.files, name: replace(file, sha256="f" * 64)}
    assert records.read_record(replace(manifest, files=files), None) is None
    assert records.read_record(replace(manifest, version="another"), None) is None
    assert records.read_record(manifest, None) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": 1}',
        b'{"schema": 2}',
        b'{"schema": 3}',
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 10_000 + b"}",
        b" " * (1 << 21),
    ],
)
def test_a_file_that_cannot_be_read_counts_as_absent(
    release: Path, manifest: Manifest, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    records.write_record(record(manifest, SPEEDS)).write_bytes(content)
    with caplog.at_level(logging.DEBUG, logger="distilforge"):
        assert records.read_record(manifest, None) is None
        distilforge.open(release)
    assert "cannot be read" in caplog.text


def test_a_torn_file_counts_as_absent(manifest: Manifest) -> None:
    path = records.write_record(record(manifest, SPEEDS))
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:end])
        assert records.read_record(manifest, None) is None


@pytest.mark.parametrize("speed", ["0", "-1", "NaN", "Infinity", "1e999", "true", '"2"', "1" + "0" * 400])
def test_a_speed_that_is_not_a_number_above_zero_counts_as_absent(manifest: Manifest, speed: str) -> None:
    path = records.write_record(record(manifest, {FP32: 1.0, INT8: 2.125}))
    path.write_text(path.read_text().replace("2.125", speed))
    assert records.read_record(manifest, None) is None


def test_a_record_under_the_name_of_another_counts_as_absent(manifest: Manifest) -> None:
    path = records.write_record(record(manifest, SPEEDS))
    other = record(manifest, SPEEDS, threads=7)
    path.write_text(other.to_json())
    assert records.read_record(manifest, None) is None


def test_a_cache_that_cannot_be_written(
    release: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of the folder, because permissions do not stop root."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UnavailableError, match="cache cannot be written"):
        records.write_record(record(manifest, SPEEDS))
    assert records.read_record(manifest, None) is None
    assert not record_files.has_records(manifest)
    distilforge.open(release)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache(manifest: Manifest, records_folder: Path) -> None:
    kept = record(manifest, SPEEDS)
    records.write_record(kept)
    records_folder.chmod(0o500)
    try:
        with pytest.raises(UnavailableError, match="cache cannot be written"):
            records.write_record(replace(kept, speeds={FP32: 1.0}))
        assert records.read_record(manifest, None) == kept
    finally:
        records_folder.chmod(0o700)


def test_a_user_without_a_home(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert not record_files.has_records(manifest)
    assert records.read_record(manifest, None) is None
    with pytest.raises(UnavailableError, match="Could not determine home"):
        records.write_record(record(manifest, SPEEDS))


def test_a_cache_that_every_user_can_write_is_not_used(
    manifest: Manifest, records_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records.write_record(record(manifest, SPEEDS))
    records_folder.chmod(0o777)
    assert not record_files.has_records(manifest)
    assert "no benchmark record is used" in caplog.text
    assert records.read_record(manifest, None) is None
    with pytest.raises(UnavailableError, match="is not trusted"):
        records.write_record(record(manifest, SPEEDS))


def test_writers_at_the_same_time_leave_a_whole_record(manifest: Manifest, records_folder: Path) -> None:
    versions = [record(manifest, {FP32: 1.0, INT8: 1.0 + number}) for number in range(8)]
    records.write_record(versions[0])
    reads: list[BenchmarkRecord | None] = []

    def write(version: BenchmarkRecord) -> None:
        for _ in range(10):
            records.write_record(version)
            reads.append(records.read_record(manifest, None))

    writers = [threading.Thread(target=write, args=(version,)) for version in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(reads) == 80
    assert all(read in versions for read in reads)
    assert len(list(records_folder.iterdir())) == 1


def test_the_newest_are_kept_and_files_of_killed_writers_are_removed(
    manifest: Manifest, records_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_RECORDS", 3)
    for number in range(1, 6):
        path = records.write_record(record(manifest, SPEEDS, threads=number))
        os.utime(path, (number, number))
    old, young = records_folder / ".temporary-old", records_folder / ".temporary-young"
    for temporary in (old, young):
        temporary.write_text("")
    os.utime(old, (1, 1))
    records.write_record(record(manifest, SPEEDS, threads=6))
    kept = [number for number in range(1, 7) if records.read_record(manifest, number) is not None]
    assert kept == [4, 5, 6]
    assert (old.exists(), young.exists()) == (False, True)


def test_records_of_other_releases_are_not_removed(manifest: Manifest) -> None:
    other = replace(manifest, name="other")
    for threads in (None, 2):
        records.write_record(record(manifest, SPEEDS, threads=threads))
    records.write_record(record(other, SPEEDS))
    assert records.remove_records(manifest) == 2
    assert records.remove_records(manifest) == 0
    assert records.read_record(other, None) is not None
