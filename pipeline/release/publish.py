"""Publishes a release folder as artifacts/<name>/<version>: all of it or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest
from distilforge.release import LATEST
from filelock import FileLock

from pipeline.release.assemble import read_manifest
from pipeline.store import digests, storage
from pipeline.store.work import ProgressListener


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A published release."""

    folder: Path
    """The folder artifacts/<name>/<version>."""
    new: bool
    """Whether this call published it; false if it was there before."""


def publish(
    *,
    manifest: Manifest,
    compose: Callable[[Path], None],
    artifacts: Path,
    work: Path,
    listener: ProgressListener,
) -> Publication:
    """Publish the release that `manifest` describes as artifacts/<name>/<version>, and make `latest` name it.

    `compose` writes the release into the folder it is given. That folder is below `work`, which must be on the file
    system of `artifacts`. Nothing is written if the same version is there, undamaged, and neither its validation nor
    its timing is worse. Publishers of the same name take turns. A reader sees the old release or the new one, never a
    part. Raises OSError if a disk refuses.
    """
    name, version = manifest.name, manifest.version
    staging = work / f"{name}.aside"
    final = artifacts / name / version
    work.mkdir(parents=True, exist_ok=True)
    with FileLock(work / f"{name}.lock"):
        present = _is_as_good(final, manifest, listener)
        if not present:
            listener.started("publish", f"writing {final}")
            try:
                storage.make_empty(staging)
                compose(staging)
                _replace(staging, final, work / f"{name}.old")
            finally:
                storage.remove(staging)
        if not present or not _is_latest(final):
            storage.replace_link(final.parent / LATEST, version, work / f"{name}.{LATEST}")
    return Publication(folder=final, new=not present)


def _is_as_good(final: Path, new: Manifest, listener: ProgressListener) -> bool:
    """Whether the release in `final` is undamaged, and as well validated and timed as `new`."""
    if not final.exists():
        return False
    try:
        present = read_manifest(final)
        damaged = digests.damaged(final, present.files)
    except (OSError, UnicodeDecodeError, ReleaseError) as cause:
        listener.note(f"{final} is damaged and is replaced: {cause}")
        return False
    if damaged:
        listener.note(f"{final} is damaged and is replaced: {', '.join(damaged)}")
        return False
    if present.validated != new.validated:
        return present.validated
    return _is_steady(present) or not _is_steady(new)


def _is_steady(manifest: Manifest) -> bool:
    return manifest.timing is not None and manifest.timing.steady


def _replace(staging: Path, final: Path, old: Path) -> None:
    """Rename `staging` to `final`, after a folder that is there was renamed to `old`.

    In between, a reader does not find the release, but never finds a mixture of the two.
    """
    storage.remove(old)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(old)
    storage.commit(staging, final)
    storage.remove(old)


def _is_latest(final: Path) -> bool:
    latest = final.parent / LATEST
    return latest.is_symlink() and latest.readlink() == Path(final.name)
