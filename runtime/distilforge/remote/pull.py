"""Takes a release from a store: all of it, checked, or nothing."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from distilforge import leftovers
from distilforge import release as releases
from distilforge.contents import sha256
from distilforge.errors import InputError, ReleaseError
from distilforge.limits import MOST_MANIFEST_BYTES
from distilforge.lock import only_one
from distilforge.release import LATEST, MANIFEST, SIGNATURE, check_files, parse_manifest
from distilforge.remote.download import Downloads, FolderError, cache_folder, writing
from distilforge.remote.find import find_store
from distilforge.remote.index import Index, StoredRelease
from distilforge.remote.retries import Pause, Tell, with_retries
from distilforge.remote.store import REPAIR, Store, read_index
from distilforge.status_line import Show, no_status
from distilforge.trust.opening import read_trusted

_STAGING = ".pull-"
_ANOTHER_CACHE = "; XDG_CACHE_HOME names another place"
# A version may be pruned while it is pulled, and its channel then names another one
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A release that was taken from a store."""

    folder: str
    """The version's folder."""
    name: str
    """The release's name."""
    version: str
    """Its version."""
    bytes: int
    """The size of its files together."""
    downloaded_bytes: int
    """How much was downloaded; the rest was there before."""
    signer: str
    """Who signed it, in words; empty if no key was given."""

    def __str__(self) -> str:
        return self.folder

    def to_json(self) -> str:
        """The result as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def pull(
    url: str,
    output: Path,
    tell: Tell,
    *,
    channel: str | None = None,
    version: str | None = None,
    key: Path | None = None,
    show: Show = no_status,
    pause: Pause = time.sleep,
) -> Pull:
    """Write the release that `channel` names, or `version`, to OUTPUT/VERSION, and make OUTPUT/latest name it.

    Without both it is the channel `latest`. Every file is checked against the manifest, and with `key` the manifest
    against the signature, before the folder appears by a rename. `distilforge.open(output)` opens it.
    `tell` receives what happens, and `show` how far the download is.

    Raises InputError if there is no such store, channel or version; ReleaseError if the release is damaged or not
    signed by `key`; UnavailableError if the store cannot be reached, a package is missing, or the disk is full.
    """
    if channel is not None and version is not None:
        raise InputError(
            f"a pull takes a channel or a version, found both: {channel!r:.80} and {version!r:.80}",
            hint="leave one of them out",
        )
    store = find_store(url)
    with writing(output):
        is_taken = (latest := output / LATEST).exists() and not latest.is_symlink()
    if is_taken:
        raise InputError(
            f"{str(latest)!r} is a {'folder' if latest.is_dir() else 'file'}, and has to be a link",
            hint="move it away, or pull to another folder",
        )
    for _ in range(_TRIES):
        stored = _find(store, tell, channel=channel, version=version, pause=pause)
        _check_name(output, stored.name)
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
        try:
            cache = cache_folder()
            with (
                writing(cache, _ANOTHER_CACHE),
                only_one(cache / "lock", waiting=partial(_tell_waiting, cache, tell)),
            ):
                result = _take(store, stored, output, tell, show, key=key, pause=pause)
        except InputError as error:
            if isinstance(error, FolderError) or not isinstance(error.__cause__, FileNotFoundError):
                raise
            if stored == _find(store, tell, channel=channel, version=version, pause=pause):
                raise ReleaseError(
                    f"{stored.version} in {store.url!r:.200} is damaged: {error.message}",
                    hint=REPAIR,
                ) from error
            tell(f"{stored.version} was removed from the store or replaced meanwhile; looking again")
            continue
        _make_latest(output, result.version, tell)
        return result
    raise ReleaseError(
        f"{store.url!r:.200} removed each of the {_TRIES} releases that were pulled from it before they were complete",
        hint="ask its publisher to keep more versions",
    )


def _tell_waiting(cache: Path, tell: Tell) -> None:
    tell(f"another pull uses {str(cache)!r}; waiting until it has ended")


def _check_name(output: Path, name: str) -> None:
    """Raise InputError if OUTPUT/latest is a release that is called otherwise."""
    try:
        present = releases.read_manifest(output / LATEST).name
    except ReleaseError:
        # There is none, or it is damaged and will be replaced
        return
    if present != name:
        raise InputError(
            f"{str(output)!r:.300} has the release {present!r:.80}, and this one is {name!r:.80}",
            hint="pull each release to a folder of its own",
        )


def _find(
    store: Store, tell: Tell, *, channel: str | None, version: str | None, pause: Pause
) -> StoredRelease:
    if store.is_local:
        return store.find(channel=channel, version=version)
    return with_retries(lambda: store.find(channel=channel, version=version), tell, pause=pause)


def current_index(store: Store, tell: Tell, *, pause: Pause = time.sleep) -> Index:
    """What `store` holds now; raises InputError, ReleaseError and UnavailableError as `pull` does."""
    if store.is_local:
        return read_index(store)
    return with_retries(lambda: read_index(store), tell, pause=pause)


def _take(
    store: Store,
    stored: StoredRelease,
    output: Path,
    tell: Tell,
    show: Show,
    *,
    key: Path | None,
    pause: Pause,
) -> Pull:
    final = output / stored.version
    downloads = Downloads(store, stored, tell, show, pause=pause)
    if key is not None and not stored.signed:
        raise ReleaseError(
            f"{stored.version} in {store.url!r:.200} is not signed",
            hint="ask its publisher to sign and push it",
        )
    if _is_there(final, stored):
        signer = _check(final, key)
    else:
        with writing(output):
            _check_replaceable(final)
        with writing(output), _staging(output) as room:
            # A signature has the folder's name, so that it is the final one
            folder = room / stored.version
            folder.mkdir()
            _fill(folder, stored, downloads, output)
            signer = _check(folder, key)
            _replace(folder, final, room / "old")
    return Pull(
        folder=str(final),
        name=stored.name,
        version=stored.version,
        bytes=stored.bytes,
        downloaded_bytes=downloads.downloaded_bytes,
        signer=signer,
    )


def _fill(folder: Path, stored: StoredRelease, downloads: Downloads, output: Path) -> None:
    """Download every file of the release into `folder`, which is inside `output`."""
    content = downloads.content(MANIFEST, stored.manifest, most_bytes=MOST_MANIFEST_BYTES)
    manifest = parse_manifest(content, folder)
    if (manifest.name, manifest.version) != (stored.name, stored.version):
        raise ReleaseError(
            f"the store lists {stored.name!r:.80} {stored.version}, and its {MANIFEST} is that of "
            f"{manifest.name!r:.80} {manifest.version}",
            hint="ask its publisher to push it again",
        )
    records = {MANIFEST: stored.manifest, **stored.signature, **manifest.files}
    downloads.check_space(records.values(), output)
    for name, record in records.items():
        downloads.copy(name, record, folder / name)


def _check(folder: Path, key: Path | None) -> str:
    """Check the manifest, the names and sizes of the files, and the signature; return who signed.

    The digests of the files were checked when they were written.
    """
    if key is None:
        check_files(folder, releases.read_manifest(folder), digests=())
        return ""
    trusted = read_trusted(folder, trust=key)
    check_files(folder, trusted.manifest, digests=())
    return trusted.signer


def _check_replaceable(final: Path) -> None:
    """Raise InputError if what is in the version's place is not a copy of a release, damaged or not."""
    if not final.exists() and not final.is_symlink():
        return
    is_folder = final.is_dir() and not final.is_symlink()
    if not is_folder or (any(final.iterdir()) and not (final / MANIFEST).exists()):
        raise InputError(
            f"{str(final)!r:.300} is there, and is not a release that could be pulled again",
            hint="move it away, or pull to another folder",
        )


def _is_there(final: Path, stored: StoredRelease) -> bool:
    """Whether the version's folder has every file of the release already, as it is in the store."""
    records = {MANIFEST: stored.manifest, **stored.signature}
    try:
        if any(sha256(final / name) != record.sha256 for name, record in records.items()):
            return False
        if SIGNATURE not in records and (final / SIGNATURE).exists():
            return False
        releases.verify(final)
    except ReleaseError:
        return False
    return True


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A folder for what nobody is to see yet; those that killed pulls left are removed."""
    leftovers.remove(output, _STAGING)
    room = Path(tempfile.mkdtemp(prefix=_STAGING, dir=output))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _replace(folder: Path, final: Path, old: Path) -> None:
    """Rename `folder` to `final`; what was there is a damaged copy, or has another signature."""
    if final.exists() or final.is_symlink():
        final.rename(old)
    folder.rename(final)


def _make_latest(output: Path, version: str, tell: Tell) -> None:
    """Make OUTPUT/latest a link to the version, atomically."""
    latest = output / LATEST
    if latest.is_symlink() and latest.readlink() == Path(version):
        return
    temporary = output / f"{_STAGING}{LATEST}-{os.getpid()}"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(version)
        temporary.replace(latest)
    except OSError as cause:
        # Windows lets only some users make links
        temporary.unlink(missing_ok=True)
        tell(f"{latest} cannot be made a link to {version}: {cause}; open the version's folder")
