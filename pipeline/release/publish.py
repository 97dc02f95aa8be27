"""Stage 5: a finished release folder becomes artifacts/<name>/<version>, all at once or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest
from distilforge.release import LATEST
from filelock import FileLock

from pipeline.release.assemble import read_manifest
from pipeline.store import digests, storage
from pipeline.store.work import Talk


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a release lies, and whether this publisher put it there or found it."""

    folder: Path
    new: bool


def publish(
    *,
    manifest: Manifest,
    compose: Callable[[Path], None],
    artifacts: Path,
    work: Path,
    talk: Talk,
) -> Published:
    """Publish `compose`'s release, which `manifest` describes, as artifacts/<name>/<version>; make `latest` name it.

    `compose` fills the folder it is given, which lies in `work`, on the file system of `artifacts`. Where the same
    version is there already, whole, as well validated and with its speed as well settled, nothing is composed or
    written. Publishers of one name take turns; readers see the old release or the new one, never a part. Raises OSError
    where a disk says no.
    """
    name, version = manifest.name, manifest.version
    aside = work / f"{name}.aside"
    final = artifacts / name / version
    work.mkdir(parents=True, exist_ok=True)
    with FileLock(work / f"{name}.lock"):
        present = _stays(final, manifest, talk)
        if not present:
            talk.started("publish", f"writing {final}")
            try:
                storage.empty(aside)
                compose(aside)
                _replace(aside, final, work / f"{name}.old")
            finally:
                storage.remove(aside)
        if not present or not _is_latest(final):
            storage.point(final.parent / LATEST, version, work / f"{name}.{LATEST}")
    return Published(folder=final, new=not present)


def _stays(final: Path, new: Manifest, talk: Talk) -> bool:
    """Whether the release in `final` can stay: it is whole, and knows no less of itself than `new` does."""
    if not final.exists():
        return False
    try:
        present = read_manifest(final)
        wrong = digests.damaged(final, present.files)
    except (OSError, UnicodeDecodeError, ReleaseError) as cause:
        talk.note(f"{final} is damaged and is replaced: {cause}")
        return False
    if wrong:
        talk.note(f"{final} is damaged and is replaced: {', '.join(wrong)}")
        return False
    if present.validated != new.validated:
        return present.validated
    return _is_steady(present) or not _is_steady(new)


def _is_steady(manifest: Manifest) -> bool:
    return manifest.timing is not None and manifest.timing.steady


def _replace(aside: Path, final: Path, old: Path) -> None:
    """Give `aside` its final name. What is in its place, damaged or not validated, goes first, to `old`: for a moment
    there is no such release, which a reader sees as absent, never as a mixture."""
    storage.remove(old)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(old)
    storage.rename(aside, final)
    storage.remove(old)


def _is_latest(final: Path) -> bool:
    latest = final.parent / LATEST
    return latest.is_symlink() and latest.readlink() == Path(final.name)
