"""Publishes a release folder as artifacts/<name>/<version>: all of it or nothing."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from distilforge import release as releases
from distilforge.errors import ReleaseError
from distilforge.manifest import CompiledEngine, Manifest, Provenance, Variant
from distilforge.release import LATEST, MANIFEST, SIGNATURE, STATEMENT
from filelock import FileLock

from pipeline.errors import UsageError
from pipeline.store import digests, storage
from pipeline.store.work import ProgressListener

_ROOM = ".aside"
_NO_PROVENANCE = Provenance(
    checkpoint_sha256="", recipe_sha256="", git_commit="", tools={}, host="", created=""
)


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

    `compose` writes the release into the folder it is given. That folder is below `work`, or beside the release if
    `work` is on another file system. Nothing is written if the same version is there, byte for byte, and neither its
    validation nor its timing is worse. `latest` stays at a validated release if `manifest` is not validated. Publishers
    of the same name take turns. A reader sees the old release or the new one, never a part. Raises UsageError as
    `check_place` does, and OSError if a disk refuses.
    """
    name, version = manifest.name, manifest.version
    final = artifacts / name / version
    work.mkdir(parents=True, exist_ok=True)
    with FileLock(work / f"{name}.lock"):
        check_place(artifacts, name)
        present = _is_as_good(final, manifest, listener)
        if present and _is_latest(final):
            return Publication(folder=final, new=False)
        room = _room(final.parent, work)
        if not present:
            listener.started("publish", f"writing {final}")
            aside = room / f"{name}.aside"
            # A signature has the folder's name, so that it is the final one
            staging = aside / version
            try:
                storage.make_empty(aside)
                staging.mkdir()
                compose(staging)
                _replace(staging, final, room / f"{name}.old")
            finally:
                storage.remove(aside)
        if not _is_latest(final):
            validated = None if manifest.validated else _validated_latest(final)
            if validated is None:
                _make_latest(final, room, listener)
            else:
                listener.note(f"{LATEST} stays at {validated}, which is validated; {version} is not")
        if room != work:
            storage.remove(room)
    return Publication(folder=final, new=not present)


def _room(folder: Path, work: Path) -> Path:
    """The folder from which files are renamed into `folder`: `work`, or one inside `folder`.

    A file cannot be renamed from one file system to another, nor between two mounts of the same one.
    """
    nearest = folder if folder.exists() else folder.parent
    probe = work / f"{folder.name}.probe"
    probe.write_bytes(b"")
    arrived = nearest / f"{_ROOM}.probe"
    try:
        probe.rename(arrived)
    except OSError as cause:
        if cause.errno != errno.EXDEV:
            raise
        return folder / _ROOM
    finally:
        storage.remove(probe)
        storage.remove(arrived)
    return work


def check_place(artifacts: Path, name: str) -> None:
    """Raise UsageError if something that is not a release is where the release `name` has to be.

    A `latest` that is a folder with a whole release is a copy of the release that the link named, as `cp -rL`, zip and
    CI artifacts make it; `publish` replaces it.
    """
    folder = artifacts / name
    if folder.is_symlink() and not folder.exists():
        raise UsageError(
            f"{folder} is a link to {folder.readlink()}, which does not exist", hint="remove the link"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is a file, and the release {name!r} needs a folder there",
            hint="move it away, or choose another name with --name",
        )
    latest = folder / LATEST
    if latest.is_dir() and not latest.is_symlink():
        try:
            copied = releases.verify(latest)
        except (OSError, ReleaseError) as cause:
            raise UsageError(
                f"{latest} must be a link; it is a folder, and not a whole release: {_reason(cause)}",
                hint="move it away and run the same command again",
            ) from cause
        if copied.name != name:
            raise UsageError(
                f"{latest} must be a link; it is a folder with a release of {copied.name!r}",
                hint="move it away and run the same command again",
            )


def _is_as_good(final: Path, new: Manifest, listener: ProgressListener) -> bool:
    """Whether the release in `final` is the one that `new` describes, whole, and as well validated and timed."""
    if not final.is_dir():
        if final.exists() or final.is_symlink():
            listener.note(f"{final} is not a folder and is replaced")
        return False
    try:
        present = releases.verify(final)
        reason = _difference(final, present, new)
    except (OSError, ReleaseError) as cause:
        reason = _reason(cause)
    if reason:
        listener.note(f"{final} is damaged and is replaced: {reason}")
        return False
    if present.validated != new.validated:
        return present.validated
    return _is_steady(present) or not _is_steady(new)


def _difference(final: Path, present: Manifest, new: Manifest) -> str:
    """How the release `present` in `final` differs from what `new` deploys, as a clause; "" if it does not."""
    if _deployed(present) != _deployed(new):
        return f"its {MANIFEST} differs from that of this build"
    changed = [name for name, record in new.files.items() if present.files.get(name) != record]
    if changed:
        return f"{', '.join(changed)} differs from this build"
    unlisted = digests.files(final).keys() - present.files.keys() - {MANIFEST, STATEMENT, SIGNATURE}
    return f"{', '.join(sorted(unlisted))} is not listed in {MANIFEST}" if unlisted else ""


def _deployed(manifest: Manifest) -> Manifest:
    """`manifest` without what differs between two builds of one version: files, measurements and provenance."""
    return replace(
        manifest,
        variants=tuple(_deployed_variant(variant) for variant in manifest.variants),
        withheld=(),
        files={},
        timing=None,
        provenance=_NO_PROVENANCE,
    )


def _deployed_variant(variant: Variant) -> Variant:
    compiled = variant.compiled
    return replace(
        variant,
        compiled=None if compiled is None else _deployed_engine(compiled),
        notes=(),
        validated=False,
        metrics=(),
        verdicts=(),
        measurements=(),
    )


def _deployed_engine(engine: CompiledEngine) -> CompiledEngine:
    return replace(engine, build_seconds=0.0, warnings=())


def _is_steady(manifest: Manifest) -> bool:
    return manifest.timing is not None and manifest.timing.steady


def _replace(staging: Path, final: Path, old: Path) -> None:
    """Rename `staging` to `final`, after what is there was renamed to `old`.

    In between, a reader does not find the release, but never finds a mixture of the two.
    """
    storage.remove(old)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists() or final.is_symlink():
        final.rename(old)
    storage.commit(staging, final)
    storage.remove(old)


def _is_latest(final: Path) -> bool:
    latest = final.parent / LATEST
    return latest.is_symlink() and latest.readlink() == Path(final.name)


def _validated_latest(final: Path) -> str | None:
    """The version that `latest` names beside `final`, if that is another version that is validated."""
    try:
        manifest = releases.verify(releases.resolve(final.parent / LATEST))
    except (OSError, ReleaseError):
        return None
    return manifest.version if manifest.validated and manifest.version != final.name else None


def _make_latest(final: Path, room: Path, listener: ProgressListener) -> None:
    """Make `latest` beside `final` a link to it; a copy of a release in its place becomes that version's folder."""
    latest = final.parent / LATEST
    aside = room / f"{final.parent.name}.{LATEST}.old"
    storage.remove(aside)
    if latest.is_dir() and not latest.is_symlink():
        copied = final.parent / releases.read_manifest(latest).version
        listener.note(f"{latest} is a folder and is replaced by a link")
        latest.rename(aside if copied.exists() or copied.is_symlink() else copied)
    storage.replace_link(latest, final.name, room / f"{final.parent.name}.{LATEST}")
    storage.remove(aside)


def _reason(cause: Exception) -> str:
    return cause.message if isinstance(cause, ReleaseError) else str(cause)
