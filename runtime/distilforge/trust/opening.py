"""The manifest of a release that an application trusts."""

import hashlib
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from distilforge.contents import reading
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest
from distilforge.release import (
    MANIFEST,
    SIGNATURE,
    STATEMENT,
    check_files,
    files_in,
    manifest_content,
    parse_manifest,
)
from distilforge.trust import document
from distilforge.trust.age import check_age, check_at_least
from distilforge.trust.keys import read_trusted_keys
from distilforge.trust.payload import SignedFiles

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_HINT = "do not use this release unless you trust where it came from; get it again from its publisher"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRelease:
    """A release whose manifest is what its publisher signed, or what the application expects."""

    manifest: Manifest
    """The manifest, whose digests can be trusted; the files are not hashed yet."""
    signer: str
    """Who signed it, in words; "" if no signature was asked for."""
    order: int | None
    """The number that its publisher gave it, which rises from version to version; None if there is none."""


def read_trusted(
    folder: Path,
    *,
    trust: str | os.PathLike[str] | None = None,
    manifest_sha256: str | None = None,
    at_least: str | int | None = None,
) -> TrustedRelease:
    """The release in the version folder `folder`, if it is what the arguments of `distilforge.open` ask for.

    The manifest is read once. With `trust`, the folder must hold exactly the files that are signed, and the manifest
    must list them with the digests that are signed; whoever hashes them against the manifest has verified the
    signature of all of them.

    Raises ReleaseError if the release is not signed, by another key, changed, incomplete, or too old; InputError for
    arguments that cannot be used; UnavailableError without the package `cryptography`.
    """
    if manifest_sha256 is not None and (
        not isinstance(manifest_sha256, str) or not _SHA256.fullmatch(manifest_sha256)
    ):
        raise InputError(
            f"manifest_sha256 must be 64 hexadecimal digits, found {manifest_sha256!r:.80}",
            hint=f"`sha256sum {MANIFEST}` prints them",
        )
    oldest = None if at_least is None else check_at_least(at_least, signed=trust is not None)
    signed = None if trust is None else _signed(folder, trust)
    content = manifest_content(folder)
    digest = hashlib.sha256(content).hexdigest()
    if manifest_sha256 is not None and digest != manifest_sha256.lower():
        raise ReleaseError(
            f"{MANIFEST} in {str(folder)!r} is not the one that is expected: SHA-256 should be "
            f"{manifest_sha256.lower()}, found {digest}",
            hint=_HINT,
        )
    order = None
    if signed is not None:
        _check_digest(folder, MANIFEST, digest, signed)
        _check_folder(folder, signed)
        if STATEMENT in signed.digests:
            order = _order(folder, signed)
    manifest = parse_manifest(content, folder)
    if signed is not None:
        _check_manifest(folder, manifest, signed)
    if oldest is not None:
        check_age(manifest, order, oldest)
    return TrustedRelease(manifest=manifest, signer="" if signed is None else signed.signer, order=order)


def verify_trusted(folder: Path, trust: str | os.PathLike[str]) -> TrustedRelease:
    """Check every file of a version folder against its signature, and return the release.

    Raises what `read_trusted` raises, and ReleaseError as `distilforge.release.verify` does.
    """
    release = read_trusted(folder, trust=trust)
    check_files(folder, release.manifest, digests=release.manifest.files)
    return release


def _signed(folder: Path, trust: str | os.PathLike[str]) -> SignedFiles:
    trusted = read_trusted_keys(trust)
    if find_spec("cryptography") is None:
        raise UnavailableError(
            "signatures cannot be verified: the package cryptography is not installed",
            hint="pip install 'distilforge[trust]'",
        )
    from distilforge.trust.signature import verified_files

    return verified_files(folder / SIGNATURE, trusted)


def _check_digest(folder: Path, name: str, digest: str, signed: SignedFiles) -> None:
    expected = signed.digests.get(name)
    if expected is None:
        raise ReleaseError(f"the signature of {str(folder)!r} does not cover {name}", hint=_HINT)
    if digest != expected:
        raise ReleaseError(
            f"{name!r} in {str(folder)!r} is not the one that was signed: SHA-256 should be {expected}, found {digest}",
            hint=_HINT,
        )


def _check_folder(folder: Path, signed: SignedFiles) -> None:
    """ReleaseError unless the files in `folder` are those that are signed, and the signature."""
    with reading(folder):
        present = {path.relative_to(folder).as_posix() for path in files_in(folder, folder, with_strays=True)}
    present.discard(SIGNATURE)
    for name in sorted(present - signed.digests.keys()):
        raise ReleaseError(
            f"{name!r} was added to {str(folder)!r} after it was signed",
            hint="delete it, or get the release again",
        )
    for name in sorted(signed.digests.keys() - present):
        raise ReleaseError(f"{name!r} was signed, and is absent from {str(folder)!r}", hint=_HINT)


def _check_manifest(folder: Path, manifest: Manifest, signed: SignedFiles) -> None:
    """ReleaseError unless the manifest lists the files that are signed, with the same digests."""
    for name, record in manifest.files.items():
        _check_digest(folder, name, record.sha256, signed)
    for name in sorted(signed.digests.keys() - manifest.files.keys() - {MANIFEST, STATEMENT}):
        raise ReleaseError(
            f"{name!r} in {str(folder)!r} was signed, but {MANIFEST} does not list it",
            hint="delete it, and ask the publisher to sign the release again",
        )


def _order(folder: Path, signed: SignedFiles) -> int | None:
    """The order in the signed statement."""
    content = document.read(folder / STATEMENT)
    _check_digest(folder, STATEMENT, hashlib.sha256(content).hexdigest(), signed)
    place = repr(str(folder / STATEMENT))
    predicate = document.member(document.parse(content, place), "predicate", place)
    order = document.member(predicate, "order", place)
    if order is not None and (not isinstance(order, int) or isinstance(order, bool)):
        raise document.unexpected(order, "a whole number or null", f"{place}: order")
    return order
