"""The cache of compiled models: what is read is what was written, or nothing."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distilforge.openvino import compiled_models
from distilforge.openvino.compiled_models import CompiledModelFile


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "a.onnx"
    path.write_bytes(b"a graph")
    return path


def file(graph: Path, made_by: str = "1", **properties: str) -> CompiledModelFile:
    made = CompiledModelFile.of((graph,), made_by, properties)
    assert made is not None
    return made


def test_what_is_written_is_read(graph: Path) -> None:
    assert file(graph).read() is None
    file(graph).write(b"a model")
    assert file(graph).read() == b"a model"
    assert file(graph).path.parent.stat().st_mode & 0o077 == 0
    file(graph).write(b"another model")
    assert file(graph).read() == b"another model"
    assert [path.name for path in file(graph).path.parent.iterdir()] == [file(graph).path.name]


def test_another_graph_version_or_setting_has_another_file(graph: Path) -> None:
    file(graph).write(b"a model")
    assert file(graph, made_by="2").read() is None
    assert file(graph, INFERENCE_PRECISION_HINT="bf16").read() is None
    graph.write_bytes(b"another graph")
    assert file(graph).read() is None


@pytest.mark.parametrize("place", [0, 31, 32, 38])
def test_a_file_with_a_changed_bit_counts_as_absent(graph: Path, place: int) -> None:
    file(graph).write(b"a model")
    content = bytearray(file(graph).path.read_bytes())
    content[place] ^= 1
    file(graph).path.write_bytes(content)
    assert file(graph).read() is None


@pytest.mark.parametrize("length", [0, 10, 32, 38])
def test_a_file_that_was_cut_off_counts_as_absent(graph: Path, length: int) -> None:
    file(graph).write(b"a model")
    file(graph).path.write_bytes(file(graph).path.read_bytes()[:length])
    assert file(graph).read() is None


def test_the_file_of_another_model_counts_as_absent(graph: Path) -> None:
    file(graph, made_by="2").write(b"another model")
    file(graph, made_by="2").path.replace(file(graph).path)
    assert file(graph).read() is None


def test_the_least_recently_used_are_removed(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_models, "MOST_BYTES", 3 * (32 + len(b"a model")))
    for number in range(1, 4):
        file(graph, made_by=str(number)).write(b"a model")
        os.utime(file(graph, made_by=str(number)).path, (number, number))
    assert file(graph, made_by="1").read() == b"a model"
    folder = file(graph).path.parent
    old, young, other = folder / ".model-old", folder / ".model-young", folder / "notes.txt"
    for path in (old, young, other):
        path.write_bytes(b"0" * 1000)
    os.utime(old, (1, 1))
    file(graph, made_by="4").write(b"a model")
    kept = [number for number in range(1, 5) if file(graph, made_by=str(number)).read() is not None]
    # The second was used before all others
    assert kept == [1, 3, 4]
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


def test_a_model_that_is_larger_than_the_cache_is_kept_alone(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_models, "MOST_BYTES", 1)
    for number in ("1", "2"):
        file(graph, made_by=number).write(b"a model")
    assert file(graph, made_by="1").read() is None
    assert file(graph, made_by="2").read() == b"a model"


def test_processes_that_remove_the_same_files_do_not_disturb_each_other(
    graph: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled_models, "MOST_BYTES", 200)

    def write(first: int) -> None:
        for number in range(first, first + 25):
            file(graph, made_by=str(number)).write(b"a model")

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(write, range(0, 100, 25)))
    assert not caplog.records
    # Each writer's last model stays until another writer removes it
    assert 1 <= len(list(file(graph).path.parent.iterdir())) <= 200 // 39 + 4


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
def test_a_folder_that_everybody_can_write_is_not_used(graph: Path) -> None:
    file(graph).write(b"a model")
    file(graph).path.parent.chmod(0o777)
    assert CompiledModelFile.of((graph,), "1", {}) is None


def test_a_cache_that_cannot_be_written_is_no_error(graph: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = file(graph).path.parent
    folder.parent.mkdir(parents=True)
    folder.write_text("not a folder")
    file(graph).write(b"a model")
    assert file(graph).read() is None
    assert "cannot be kept" in caplog.text
