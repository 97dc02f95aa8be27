"""What was hashed is what is loaded: files are read once, and a file that changes while it is loaded is noticed."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import distilforge
import pytest
from distilforge import contents
from distilforge.backends import backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.engine import Engine
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Variant
from distilforge.release import check_files, verify
from distilforge.tokenizer import Tokenizer

from tests.runtime_release import GRAPH, read_manifest

Interfere = Callable[[Path], None]


def write_again(release: Path) -> None:
    (release / GRAPH).write_bytes((release / GRAPH).read_bytes())


def write_again_with_its_times(release: Path) -> None:
    before = (release / GRAPH).stat()
    write_again(release)
    os.utime(release / GRAPH, ns=(before.st_atime_ns, before.st_mtime_ns))


def move_away_and_back(release: Path) -> None:
    shutil.move(release / GRAPH, release / "away")
    shutil.move(release / "away", release / GRAPH)


def move_its_folder_away_and_back(release: Path) -> None:
    shutil.move(release / "onnx", release / "away")
    shutil.move(release / "away", release / "onnx")


CHANGES = (write_again, write_again_with_its_times, move_away_and_back, move_its_folder_away_and_back)


@pytest.fixture
def settled(release: Path) -> Path:
    """The release, with times that lie a while back, and a tick of the file system's clock after they were set."""
    for path in (release, release / "onnx", release / GRAPH):
        os.utime(path, ns=(10**18, 10**18))
    time.sleep(0.05)  # file systems have ticks of 10 ms at most
    return release


@dataclass(frozen=True)
class Interfering:
    """The CPU's backend, and somebody who changes the release's files while they are loaded, some `times`."""

    interfere: Interfere
    times: int
    loads: list[int] = field(default_factory=list)
    preference: int = 100

    def obstacle(self, variant: Variant) -> str | None:
        return None

    def prepare(self) -> None: ...

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> Engine:
        engine = OnnxRuntimeCpu().load(
            variant, folder, manifest=manifest, providers=providers, threads=threads
        )
        self.loads.append(len(self.loads))
        if len(self.loads) <= self.times:
            self.interfere(folder)
        return engine


def test_nothing_changes_when_files_are_read(release: Path) -> None:
    before = contents.states(release, [GRAPH])
    verify(release)
    distilforge.open(release)
    assert contents.states(release, [GRAPH]) == before


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(settled: Path, change: Interfere) -> None:
    before = contents.states(settled, [GRAPH])
    change(settled)
    assert contents.states(settled, [GRAPH]) != before


def test_a_file_that_changed_once_is_checked_and_loaded_again(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Interfering(interfere=write_again, times=1)
    monkeypatch.setitem(backends._entries, "onnxruntime-cpu", backend)
    distilforge.open(settled)
    assert len(backend.loads) == 2


def test_a_file_that_is_replaced_is_checked_again(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(release: Path) -> None:
        with (release / GRAPH).open("r+b") as file:
            file.write(b"x")

    monkeypatch.setitem(backends._entries, "onnxruntime-cpu", Interfering(interfere=damage, times=1))
    with pytest.raises(ReleaseError, match=f"'{GRAPH}' in .* is damaged: SHA-256 should be"):
        distilforge.open(settled)


def test_a_file_that_keeps_changing_is_refused(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1, 10))

    def move_time(release: Path) -> None:
        os.utime(release / GRAPH, (0, next(seconds)))

    monkeypatch.setitem(backends._entries, "onnxruntime-cpu", Interfering(interfere=move_time, times=9))
    with pytest.raises(ReleaseError, match="changed while they were loaded, 3 times"):
        distilforge.open(settled)


def test_the_tokenizer_is_made_of_what_was_hashed(release: Path) -> None:
    parsed = check_files(release, read_manifest(release), digests=())
    expected = Tokenizer(release).encode(["the movie"])[0].ids
    for name in contents.TOKENIZER_FILES:
        (release / name).write_text("{")
    assert Tokenizer(release, parsed.tokenizer).encode(["the movie"])[0].ids == expected


def test_what_is_parsed_is_hashed_even_if_no_digest_is_asked_for(release: Path) -> None:
    text = (release / "config.json").read_text()
    (release / "config.json").write_text(text.replace("negative", "negatiwe"))
    with pytest.raises(ReleaseError, match=r"'config\.json' in .* is damaged: SHA-256 should be"):
        check_files(release, read_manifest(release), digests=())
