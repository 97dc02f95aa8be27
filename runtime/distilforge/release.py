"""Find a release's folder, and check that it holds exactly what its manifest lists."""

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from distilforge.errors import ReleaseError
from distilforge.layouts import is_inside, is_stray, without_volume
from distilforge.manifest import FileRecord, Manifest

MANIFEST = "manifest.json"
"""Name of the manifest in a version folder."""
LATEST = "latest"
"""Name of the link or folder that is the current version, beside the version folders."""
STATEMENT = "statement.intoto.json"
"""Name of the statement that a signed release has: how it was made and judged, which the signature signs too."""
SIGNATURE = "model.sig"
"""Name of the signature, which signs every other file; OpenSSF's model signing calls it so."""

_logger = logging.getLogger("distilforge")
_COPY_AGAIN = "copy the release again, or publish it again"
_PIECE_BYTES = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def resolve(release: str | os.PathLike[str]) -> Path:
    """The version folder that `release` names: the folder itself, or the one that its `latest` points to.

    Links are followed here, once, so that a publisher who moves `latest` at the same time cannot mix two versions.
    Raises ReleaseError if there is no such folder, or no manifest in it.
    """
    folder = Path(release)
    if not folder.is_dir():
        raise ReleaseError(
            f"no release at {str(folder)!r}: there is no such folder",
            hint="pass artifacts/<name>, or a version folder inside it; `distilforge build` publishes one",
        )
    if (folder / MANIFEST).is_file():
        return without_volume(folder / MANIFEST)
    latest = folder / LATEST
    if (latest / MANIFEST).is_file():
        return without_volume(latest / MANIFEST)
    if latest.is_symlink() or latest.exists():
        target = str(latest.readlink()) if latest.is_symlink() else "a folder or file"
        raise ReleaseError(
            f"{str(latest)!r} names {target!r}, which does not have a {MANIFEST}",
            hint=f"open one of the versions beside it: {_having_manifest(folder)}",
        )
    raise ReleaseError(
        f"{str(folder)!r} is not a release: it has neither {MANIFEST} nor {LATEST}",
        hint=f"releases in it: {_having_manifest(folder)}",
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a version folder.

    Raises ReleaseError if it is absent, cannot be read, contradicts itself, or is too new for this package.
    """
    return parse_manifest(manifest_content(folder), folder)


def manifest_content(folder: Path) -> bytes:
    """The bytes of the manifest of a version folder; ReleaseError if it is absent or cannot be read."""
    path = folder / MANIFEST
    try:
        return path.read_bytes()
    except FileNotFoundError as cause:
        raise ReleaseError(f"{str(path)!r} is absent", hint=_COPY_AGAIN) from cause
    except OSError as cause:
        raise ReleaseError(f"{str(path)!r} cannot be read: {cause}", hint=_COPY_AGAIN) from cause


def parse_manifest(content: bytes, folder: Path) -> Manifest:
    """The manifest of the version folder `folder` in `content`.

    Raises ReleaseError if it is not a manifest, contradicts itself, or is too new for this package.
    """
    path = folder / MANIFEST
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ReleaseError(f"{str(path)!r} cannot be read: {cause}", hint=_COPY_AGAIN) from cause
    manifest = Manifest.from_json(text, str(path))
    _check_consistent(manifest, path)
    return manifest


def verify(folder: Path) -> Manifest:
    """Check every file of a version folder against its manifest, and return the manifest.

    Raises ReleaseError with the file's name, the expected and the actual value, if

    - the manifest cannot be read,
    - a path leaves the folder,
    - a file is absent, or its size in bytes or its SHA-256 differs,
    - a variant's folder holds a file that is not listed. Engines load neighbouring files by name, so it could be used
      without a check.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest, digests=manifest.files)
    return manifest


def check_files(folder: Path, manifest: Manifest, *, digests: Iterable[str]) -> None:
    """Check the path and size of every file in the manifest, and the SHA-256 of the files named in `digests`.

    Raises ReleaseError as `verify` does. Unlisted files outside of the variants' folders are logged as a warning.
    """
    root = folder.resolve()
    for name, record in manifest.files.items():
        _check_path(root, name, record)
    _refuse_unlisted(root, manifest)
    check_digests(folder, manifest, digests)


def check_digests(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Check the SHA-256 of the files `names`; raises ReleaseError if one differs.

    `check_files` must have checked their paths.
    """
    for name in names:
        expected = manifest.files[name].sha256
        actual = _sha256(folder / name)
        if actual != expected:
            raise ReleaseError(
                f"{name!r} in {str(folder)!r} is damaged: SHA-256 should be {expected}, found {actual}",
                hint=_COPY_AGAIN,
            )


def _having_manifest(folder: Path) -> str:
    """Names of the releases and versions in `folder`, for a hint."""
    names = sorted(path.name for path in folder.iterdir() if (path / MANIFEST).is_file())
    below = sorted(path.name for path in folder.iterdir() if (path / LATEST / MANIFEST).is_file())
    return ", ".join(names + below) or "none"


def _check_path(root: Path, name: str, record: FileRecord) -> None:
    parts = name.split("/")
    if not name or "\\" in name or ":" in name or "\0" in name or set(parts) & {"", ".", ".."}:
        raise ReleaseError(
            f"{MANIFEST} lists the path {name!r}; a path must be relative, inside the release, and separated by '/'",
            hint="do not use this release unless you trust where it came from",
        )
    path = root.joinpath(*parts)
    if not is_inside(root, _target(path)):
        raise ReleaseError(
            f"{name!r} leaves the release folder: it leads to {str(_target(path))!r}, outside {str(root)!r}",
            hint="copy the release with its links followed, for example `cp -rL`",
        )
    if not path.is_file():
        raise ReleaseError(f"{name!r} is absent from {str(root)!r}", hint=_COPY_AGAIN)
    size = path.stat().st_size
    if size != record.bytes:
        raise ReleaseError(
            f"{name!r} in {str(root)!r} is damaged: it should have {record.bytes} bytes, found {size}",
            hint=_COPY_AGAIN,
        )


def _refuse_unlisted(root: Path, manifest: Manifest) -> None:
    # The manifest cannot list what signs it
    listed = {*manifest.files, MANIFEST, STATEMENT, SIGNATURE}
    engines = {str(PurePosixPath(file).parent) for variant in manifest.variants for file in variant.files}
    # A link to a listed file, or to a folder that contains one, is another name for what is used
    used = {_target(root / name) for name in listed}
    used |= {parent for path in used for parent in path.parents if parent.is_relative_to(root)}
    unlisted = {path.relative_to(root).as_posix() for path in _files(root, root) if _target(path) not in used}
    for engine in sorted(engines):
        # The walk of the root does not enter an engine's folder that is a link
        beside = {path.relative_to(root).as_posix() for path in _files(root / engine, root)} - listed
        for name in sorted(beside):
            raise ReleaseError(
                f"{name!r} in {str(root)!r} is not listed in {MANIFEST}, and an engine might load it",
                hint="delete it, or publish a release that lists it",
            )
    for name in sorted(unlisted):
        _logger.warning("%s in %s is not listed in %s; it is not used", name, root, MANIFEST)


def _files(folder: Path, root: Path) -> Iterator[Path]:
    """Files and links in `folder` and its subfolders, without strays; links to folders are not followed."""
    return (
        path
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not is_stray(PurePosixPath(path.relative_to(root)))
    )


def _target(path: Path) -> Path:
    """`path` without links; unlike Path.resolve, it does not raise for a link that leads to itself."""
    return Path(os.path.realpath(path))


def _sha256(path: Path) -> str:
    try:
        digest = hashlib.sha256()
        # Between two pieces this thread waits for the interpreter lock, which imports may hold for long
        buffer = memoryview(bytearray(min(_PIECE_BYTES, path.stat().st_size) or 1))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        return digest.hexdigest()
    except OSError as cause:
        raise ReleaseError(f"{str(path)!r} cannot be read: {cause}", hint=_COPY_AGAIN) from cause


def _check_consistent(manifest: Manifest, path: Path) -> None:
    def refuse(what: str) -> None:
        raise ReleaseError(f"{str(path)!r} contradicts itself: {what}", hint="publish the release again")

    if not manifest.variants:
        refuse("it has no variants")
    for name, times in Counter(variant.name for variant in manifest.variants).items():
        if times > 1:
            refuse(f"the variant {name!r} is there {times} times")
    for variant in manifest.variants:
        if not variant.files:
            refuse(f"the variant {variant.name!r} has no files")
        for file in variant.files:
            if file not in manifest.files:
                refuse(f"{file!r} of the variant {variant.name!r} is not among the release's files")
    for axis, span in manifest.spans.items():
        if not 0 < span.low <= span.usual <= span.high:
            refuse(
                f"the span of {axis!r} is {span.low}, {span.usual}, {span.high}; it must rise from at least 1"
            )
    for tensor in manifest.inputs:
        for size in tensor.shape:
            if isinstance(size, str) and size not in manifest.spans:
                refuse(f"the axis {size!r} of the input {tensor.name!r} has no span")
    for name, record in manifest.files.items():
        if not _SHA256.fullmatch(record.sha256) or record.bytes < 0:
            refuse(f"the record of {name!r} is {record.bytes} bytes, SHA-256 {record.sha256!r}")
