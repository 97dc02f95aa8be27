"""Compiled kernels are kept in the user's folder; a bad file costs time, not answers."""

import logging
import stat
from pathlib import Path

import pytest
from distilforge.tensorrt.kernels import KernelCache, path_for


class Cache:
    """Like TensorRT-RTX's cache: it accepts its own blobs only."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def deserialize(self, blob: bytes) -> bool:
        if not blob.startswith(b"kernels"):
            return False
        self.content = blob
        return True

    def serialize(self) -> bytes:
        return self.content


def test_kept_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "x.cache"
    assert not KernelCache(Cache(), path).load()
    assert KernelCache(Cache(b"kernels 1"), path).save()
    again = Cache()
    kept = KernelCache(again, path)
    assert kept.load()
    assert again.content == b"kernels 1"
    assert not kept.save()  # nothing new
    again.content += b" 2"
    assert kept.save()
    assert path.read_bytes() == b"kernels 1 2"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.cache"]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_kernels_that_are_compiled_later_are_kept_too(tmp_path: Path) -> None:
    seconds = [1000.0]
    cache = Cache(b"kernels")
    kept = KernelCache(cache, tmp_path / "x.cache", clock=lambda: seconds[0])
    assert kept.save_when_due()
    written_at = []
    for now in range(1001, 1200):
        seconds[0] = now
        cache.content += b" more"
        if kept.save_when_due():
            written_at.append(now - 1000)
    # 10, 20, 40 and 80 seconds after the last time
    assert written_at == [10, 30, 70, 150]


def test_nothing_is_not_written(tmp_path: Path) -> None:
    assert not KernelCache(Cache(), tmp_path / "x.cache").save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [None, RuntimeError("it is broken")])
def test_a_toolkit_that_gives_no_kernels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Exception | None
) -> None:
    class Broken(Cache):
        def serialize(self) -> bytes:
            if answer is not None:
                raise answer
            return None  # type: ignore[return-value]

    assert not KernelCache(Broken(), tmp_path / "x.cache").save()
    assert "cannot be kept" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_fit_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.cache"
    path.write_bytes(b"rubbish")
    kept = KernelCache(Cache(b"kernels"), path)
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert not kept.load()
    assert "compiled again" in caplog.text
    assert kept.save()
    assert path.read_bytes() == b"kernels"


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = KernelCache(Cache(b"kernels"), tmp_path / "file" / "x.cache")
    with caplog.at_level(logging.WARNING, logger="distilforge"):
        kept.load()
        assert not kept.save()
    assert "cannot be kept" in caplog.text


def test_every_engine_version_and_device_has_its_own_file(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("same", b"1"), ("b", b"2")):
        (tmp_path / name).write_bytes(content)
    first = path_for(tmp_path, tmp_path / "a", "RTX 1.7", "A device")
    assert first == path_for(tmp_path, tmp_path / "same", "RTX 1.7", "A device")
    others = {
        path_for(tmp_path, tmp_path / "b", "RTX 1.7", "A device"),
        path_for(tmp_path, tmp_path / "a", "RTX 1.8", "A device"),
        path_for(tmp_path, tmp_path / "a", "RTX 1.7", "Another"),
    }
    assert len(others | {first}) == 4
