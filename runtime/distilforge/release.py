"""Find a release's folder, and check that it holds exactly what its manifest lists."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from distilforge import contents
from distilforge.checks.configuration import check_configuration
from distilforge.contents import Contents
from distilforge.errors import InputError, ReleaseError
from distilforge.heads import heads
from distilforge.layouts import is_inside, is_stray, without_volume
from distilforge.limits import MOST_FOLDER_ENTRIES, MOST_MANIFEST_BYTES
from distilforge.manifest import FileRecord, Manifest
from distilforge.manifest.configuration import ModelConfiguration
from distilforge.manifest.consistency import check_consistent
from distilforge.session import Session
from distilforge.urls import is_url, without_secrets

MANIFEST = "manifest.json"
"""Name of the manifest in a version folder."""
LATEST = "latest"
"""Name of the link or folder that is the current version, beside the version folders."""
STATEMENT = "statement.intoto.json"
"""Name of the statement that a signed release has: how it was made and judged, which the signature signs too."""
SIGNATURE = "model.sig"
"""Name of the signature, which signs every other file; OpenSSF's model signing calls it so."""

_logger = logging.getLogger("distilforge")
_PASS = "pass artifacts/<name>, or a version folder inside it; `distilforge build` publishes one"
_NONE = "none"
# Every checkpoint has it, and of a release only a version folder, beside the manifest
_CHECKPOINT = "config.json"


def resolve(release: str | os.PathLike[str]) -> Path:
    """The version folder that `release` names: the folder itself, or the one that its `latest` points to.

    Links are followed here, once, so that a publisher who moves `latest` at the same time cannot mix two versions.
    Raises ReleaseError if there is no such folder, no manifest in it, or if it cannot be read; InputError if `release`
    is not a path.
    """
    try:
        folder = Path(release)
    except TypeError as cause:
        raise InputError(
            f"a release must be the path of a folder, found {release!r:.80}", hint="pass a str or a Path"
        ) from cause
    with contents.reading(folder):
        if is_url(str(folder)) and not folder.is_dir():
            raise ReleaseError(
                f"no release at {without_secrets(str(release))!r}: it is a URL, and a release is opened from a folder",
                hint="`python -m distilforge pull URL --output FOLDER` first, then pass that folder",
            )
        return _version_folder(folder)


def _version_folder(folder: Path) -> Path:
    if not folder.is_dir():
        problem = "it is a file" if folder.exists() else "there is no such folder"
        raise ReleaseError(f"no release at {str(folder)!r}: {problem}", hint=_PASS)
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
        f"{str(folder)!r} is not a release: it has neither {MANIFEST} nor {LATEST}", hint=_instead(folder)
    )


def _instead(folder: Path) -> str:
    """What to do about a folder that is not a release."""
    if (folder / _CHECKPOINT).is_file():
        return "it looks like a checkpoint, of which `distilforge build` makes a release"
    found = _having_manifest(folder)
    return f"releases in it: {found}" if found != _NONE else _PASS


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a version folder.

    Raises ReleaseError if it is absent, cannot be read, goes beyond a limit of the format, contradicts itself, has a
    version that is not the digest of what it lists, or is too new for this package.
    """
    return parse_manifest(manifest_content(folder), folder)


def manifest_content(folder: Path) -> bytes:
    """The bytes of the manifest of a version folder; ReleaseError if it is absent or cannot be read."""
    return contents.read(folder / MANIFEST, most_bytes=MOST_MANIFEST_BYTES)


def parse_manifest(content: bytes, folder: Path) -> Manifest:
    """The manifest of the version folder `folder` in `content`; raises ReleaseError as `read_manifest` does."""
    path = folder / MANIFEST
    manifest = Manifest.from_json(contents.decode(content, path), str(path))
    check_consistent(manifest, str(path))
    return manifest


def verify(folder: Path) -> Manifest:
    """Check every file of a version folder against its manifest, and return the manifest.

    Raises ReleaseError with the file's name, the expected and the actual value, if

    - `read_manifest` raises it,
    - a path leaves the folder,
    - a file is absent, or its size in bytes or its SHA-256 differs,
    - a variant's folder holds a file that is not listed. Engines load neighbouring files by name, so it could be used
      without a check,
    - a file that this package reads is not listed, or a folder cannot be listed,
    - labels, head, problem type, outputs or spans do not fit config.json.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest, digests=manifest.files)
    return manifest


def check_files(folder: Path, manifest: Manifest, *, digests: Iterable[str]) -> Contents:
    """Check the path and size of every file in the manifest, and the SHA-256 of the files named in `digests`.

    Returns what this package parses of the release, after its digests were checked too. Raises ReleaseError as `verify`
    does. Unlisted files outside of the variants' folders are logged as a warning.
    """
    root = _real(folder)
    with contents.reading(root):
        used = {_inside(root, MANIFEST, root / MANIFEST)}
        used |= {_check_file(root, name, record) for name, record in manifest.files.items()}
        _refuse_unlisted(root, manifest, used)
    parsed = {
        name: contents.read_recorded(root, name, manifest.files[name])
        for name in contents.PARSED
        if name in manifest.files
    }
    check_digests(root, manifest, [name for name in digests if name not in parsed])
    return _contents(root, manifest, parsed)


def check_digests(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Check the SHA-256 of the files `names`; raises ReleaseError if one differs.

    `check_files` must have checked their paths.
    """
    for name in names:
        contents.check_digest(folder, name, manifest.files[name], contents.sha256(folder / name))


def _contents(root: Path, manifest: Manifest, parsed: Mapping[str, bytes]) -> Contents:
    path = root / contents.CONFIG
    configuration = ModelConfiguration.from_json(contents.decode(parsed[contents.CONFIG], path), str(path))
    # Of a head that this package does not know, nothing is checked
    head = heads.get(manifest.head) or Session
    check_configuration(
        manifest, configuration, str(root), architecture=head.architecture, output_axes=head.output_axes
    )
    tokenizer = {name: parsed[name] for name in contents.TOKENIZER_FILES if name in parsed}
    return Contents(configuration=configuration, tokenizer=tokenizer)


def _having_manifest(folder: Path) -> str:
    """Names of the releases and versions in `folder`, for a hint."""
    names = sorted(path.name for path in folder.iterdir() if (path / MANIFEST).is_file())
    below = sorted(path.name for path in folder.iterdir() if (path / LATEST / MANIFEST).is_file())
    return ", ".join(names + below) or _NONE


def _check_file(root: Path, name: str, record: FileRecord) -> Path:
    """The file's path without links; ReleaseError if it leads out of the release, is absent, or has another size."""
    path = root / name
    target = _inside(root, name, path)
    if not path.is_file():
        raise ReleaseError(f"{name!r} is absent from {str(root)!r}", hint=contents.COPY_AGAIN)
    size = path.stat().st_size
    if size != record.bytes:
        raise ReleaseError(
            f"{name!r} in {str(root)!r} is damaged: it should have {record.bytes} bytes, found {size}",
            hint=contents.COPY_AGAIN,
        )
    return target


def _inside(root: Path, name: str, path: Path) -> Path:
    """`path` without links; ReleaseError if that is outside of `root`."""
    target = _real(path)
    if not is_inside(root, target):
        raise ReleaseError(
            f"{name!r} leaves the release folder: it leads to {str(target)!r}, outside {str(root)!r}",
            hint="copy the release with its links followed, for example `cp -rL`",
        )
    return target


def _refuse_unlisted(root: Path, manifest: Manifest, used: set[Path]) -> None:
    """Raise ReleaseError for a file that could be read although the manifest does not list it.

    `used` are the paths of the manifest and of the listed files, without links.
    """
    for name in (contents.CONFIG, contents.TOKENIZER):
        if name not in manifest.files:
            raise ReleaseError(
                f"{MANIFEST} in {str(root)!r} does not list {name!r}, which every release has",
                hint="publish the release again",
            )
    # The manifest cannot list what signs it
    listed = {*manifest.files, MANIFEST, STATEMENT, SIGNATURE}
    engines = {str(PurePosixPath(file).parent) for variant in manifest.variants for file in variant.files}
    # A link to a listed file, or to a folder that contains one, is another name for what is used
    used = used | {_real(root / name) for name in (STATEMENT, SIGNATURE)}
    used |= {parent for path in used for parent in path.parents if parent.is_relative_to(root)}
    present = {path.relative_to(root).as_posix() for path in files_in(root, root)}
    unlisted = {name for name in present - listed if _real(root / name) not in used}
    for engine in sorted(engines):
        # The walk of the root does not enter an engine's folder that is a link
        beside = {path.relative_to(root).as_posix() for path in files_in(root / engine, root)} - listed
        for name in sorted(beside):
            raise ReleaseError(
                f"{name!r} in {str(root)!r} is not listed in {MANIFEST}, and an engine might load it",
                hint="delete it, or publish a release that lists it",
            )
    for name in sorted(unlisted):
        if name in contents.PARSED:
            raise ReleaseError(
                f"{name!r} in {str(root)!r} is not listed in {MANIFEST}, and would be read",
                hint="delete it, or publish a release that lists it",
            )
        _logger.warning("%s in %s is not listed in %s; it is not used", name, root, MANIFEST)


def files_in(folder: Path, root: Path, *, with_strays: bool = False) -> Iterator[Path]:
    """Files and links in `folder`, which is in `root`, and its subfolders; links to folders are not followed.

    Files that operating systems and downloads leave there are left out unless `with_strays`. Raises OSError for a
    folder that cannot be listed, since it could hide files, and ReleaseError for too many.
    """
    folders, count = [folder], 0
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                count += 1
                if count > MOST_FOLDER_ENTRIES:
                    raise ReleaseError(
                        f"{str(root)!r} has more than {MOST_FOLDER_ENTRIES:,} files and folders",
                        hint="a release has few: move away what does not belong to it",
                    )
                path = Path(entry.path)
                if not with_strays and is_stray(PurePosixPath(path.relative_to(root))):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    yield path


def _real(path: Path) -> Path:
    """`path` without links; unlike Path.resolve, it does not raise for a link that leads to itself."""
    return Path(os.path.realpath(path))
