"""Small releases for tests about stores, and what pulls and pushes say."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from distilforge.remote.find import find_store
from distilforge.remote.index import Index
from distilforge.remote.pull import Pull, pull

from pipeline.remote.files import shipment
from pipeline.remote.find import find_publisher
from pipeline.remote.publisher import Publisher, Push
from tests.runtime_release import read_manifest, record_again, write_manifest
from tests.signed_release import write_small_release

Change = Callable[[Path], None]


def small_release(folder: Path, number: int, *, validated: bool = True) -> Path:
    """A release in the new folder FOLDER/VERSION; each `number` gives another version."""
    written = write_small_release(folder / f"written-{number}")
    (written / "onnx" / "model.onnx").write_bytes(number.to_bytes(4, "big") * 4_000)
    record_again(written)
    manifest = read_manifest(written)
    if not validated:
        variants = tuple(replace(variant, validated=False, verdicts=()) for variant in manifest.variants)
        write_manifest(written, replace(manifest, variants=variants))
    return written.rename(folder / f"{manifest.version}")


@dataclass
class Shop:
    """A store for a test, and the way to it."""

    url: str
    """Its URL."""
    folder: Path
    """A folder for what the test writes."""
    said: list[str] = field(default_factory=list)
    """What pushes and pulls said."""
    shown: list[str] = field(default_factory=list)
    """How far pulls were."""

    def publisher(self) -> Publisher:
        return find_publisher(self.url, self.said.append)

    def push(self, release: Path) -> Push:
        return self.publisher().push(shipment(release))

    def repair(self, release: Path) -> Push:
        return self.publisher().repair(shipment(release))

    def push_new(self, number: int, *, validated: bool = True) -> str:
        """Push the release `number`, and return its version."""
        return self.push(small_release(self.folder, number, validated=validated)).version

    def pull(
        self, *, channel: str | None = None, version: str | None = None, key: Path | None = None
    ) -> Pull:
        return pull(
            self.url,
            self.folder / "pulled",
            self.said.append,
            channel=channel,
            version=version,
            key=key,
            show=lambda text: self.shown.append(str(text)),
            pause=lambda _: None,
        )

    def index(self) -> Index:
        index = find_store(self.url).index()
        assert index is not None
        return index

    def forget(self) -> None:
        """Remove what was pulled, and the cache of the environment variable XDG_CACHE_HOME."""
        shutil.rmtree(self.folder / "pulled", ignore_errors=True)
        shutil.rmtree(self.folder / "cache", ignore_errors=True)


def names_in(folder: Path) -> set[str]:
    """The files below `folder`, by their relative path."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
