"""Signs releases as OpenSSF's model signing does: every file and the manifest, with a key or a certificate."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge import release as releases
from distilforge.errors import ReleaseError
from distilforge.release import MANIFEST, SIGNATURE, STATEMENT
from distilforge.trust.keys import MOST_BYTES
from distilforge.trust.opening import TrustedRelease, read_trusted

from pipeline.errors import MissingError, UsageError, in_stage
from pipeline.release import statement
from pipeline.store import digests, storage

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

PACKAGES = ("model_signing", "OpenSSL", "cryptography")
"""What signing imports; model-signing does not declare that it needs pyOpenSSL."""
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_ASIDE = ".signing-"
_MAKE_KEY = "`openssl ecparam -name prime256v1 -genkey -noout -out KEY` makes one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs a release, and as which version."""

    key: Path
    """A PEM file with the private key."""
    certificates: tuple[Path, ...] = ()
    """PEM files with the certificate of the key, and then those of its issuers; empty to sign with the key alone."""
    order: int | None = None
    """A number that rises from version to version, for `distilforge.open(..., at_least=N)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credentials:
    """A signer whose files are read and fit together."""

    key: "EllipticCurvePrivateKey"
    """The private key."""
    certificates: "tuple[x509.Certificate, ...]"
    """The certificate of the key, and those of its issuers."""


def check(signer: Signer) -> None:
    """Raise MissingError or UsageError if `signer` cannot sign; a build asks before it begins."""
    _credentials(signer)


def sign(folder: Path, signer: Signer) -> TrustedRelease:
    """Sign the release in the version folder `folder`, and return what its users see.

    Writes the statement and the signature into `folder`; those of an earlier signature are replaced once these are made
    and checked. Raises ReleaseError for a release that is damaged or holds a file that its manifest does not list,
    MissingError and UsageError as `check` does, UsageError also for certificates that do not vouch for the key and for
    a folder that cannot be written, and StageError if signing fails.
    """
    credentials = _credentials(signer)
    manifest = releases.verify(folder)
    own = (STATEMENT, SIGNATURE)
    left = {storage.unfinished(folder / name).name for name in own}
    unlisted = digests.files(folder).keys() - manifest.files.keys() - {MANIFEST, *own, *left}
    if unlisted:
        raise ReleaseError(
            f"{', '.join(sorted(unlisted))} in {str(folder)!r} is not listed in {MANIFEST}, and would be signed",
            hint="delete it, or build a release that lists it",
        )
    try:
        with _room_beside(folder) as temporary:
            # The folder's own name is a part of what is signed
            aside = Path(temporary) / folder.name
            for name in (*manifest.files, MANIFEST):
                storage.link_or_copy(folder / name, aside / name)
            (aside / STATEMENT).write_text(statement.render(manifest, folder, signer.order), encoding="utf-8")
            with in_stage("sign"):
                signature = _signature(aside, signer, credentials)
            (aside / SIGNATURE).write_bytes(signature)
            signed = _as_users_see_it(aside, credentials, shown=folder)
            for name in own:
                storage.replace_file(folder / name, (aside / name).read_bytes())
    except OSError as cause:
        raise UsageError(
            f"the signature of {str(folder)!r:.300} cannot be written: {cause}",
            hint="look at the permissions of the folder and of the one that it is in, and at the space left",
        ) from cause
    return signed


@contextmanager
def _room_beside(folder: Path) -> Iterator[str]:
    """A temporary folder beside `folder`, where its files can have second names; elsewhere if there is no room."""
    try:
        room = tempfile.TemporaryDirectory(prefix=_ASIDE, dir=folder.parent)
    except OSError:
        room = tempfile.TemporaryDirectory(prefix=_ASIDE)
    with room as temporary:
        yield temporary


def _as_users_see_it(folder: Path, credentials: _Credentials, *, shown: Path) -> TrustedRelease:
    """The release in `folder` as those see it who trust the signer; UsageError, about `shown`, if they cannot."""
    with _trusted_file(credentials) as trusted:
        try:
            return read_trusted(folder, trust=trusted)
        except ReleaseError as cause:
            reason = cause.message.replace(str(folder), str(shown)).replace(str(trusted), "the signer")
            raise UsageError(
                f"nobody could verify this signature, so that it was not kept: {reason}",
                hint="give the certificate of the key first, and then those of its issuers",
            ) from cause


def is_signed(folder: Path, signer: Signer) -> bool:
    """Whether the release in `folder` is signed by `signer`, with the same order."""
    with _trusted_file(_credentials(signer)) as trusted:
        try:
            return read_trusted(folder, trust=trusted).order == signer.order
        except ReleaseError:
            return False


def _signature(folder: Path, signer: Signer, credentials: _Credentials) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from model_signing import hashing, signing

    # Without this, files whose names begin with .git would be left out
    everything = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    config = signing.Config().set_hashing_config(everything)
    with tempfile.TemporaryDirectory(prefix="distilforge-") as temporary:
        output = Path(temporary) / SIGNATURE
        if credentials.certificates:
            leaf, chain = Path(temporary) / "certificate.pem", Path(temporary) / "chain.pem"
            first, *issuers = (one.public_bytes(Encoding.PEM) for one in credentials.certificates)
            leaf.write_bytes(first)
            # The library takes no empty chain; a certificate that is there twice says nothing new
            chain.write_bytes(b"".join(issuers or [first]))
            config.use_certificate_signer(
                private_key=signer.key, signing_certificate=leaf, certificate_chain=[chain]
            )
        else:
            config.use_elliptic_key_signer(private_key=signer.key)
        config.sign(folder, output)
        return output.read_bytes()


def _credentials(signer: Signer) -> _Credentials:
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise MissingError(
            f"signing needs packages that are not installed: {', '.join(missing)}",
            hint="pip install 'distilforge-pipeline[sign]'",
        )
    if signer.order is not None and signer.order < 0:
        raise UsageError(
            f"the order must be a whole number of at least 0, found {signer.order}",
            hint="count up with each release, or leave it out",
        )
    key = _key(signer.key)
    certificates = tuple(one for path in signer.certificates for one in _certificates(path))
    if certificates and certificates[0].public_key() != key.public_key():
        raise UsageError(
            f"the first certificate, of {certificates[0].subject.rfc4514_string()!r}, is not that of {signer.key}",
            hint="give the certificate of the key first, and then those of its issuers",
        )
    return _Credentials(key=key, certificates=certificates)


def _key(path: Path) -> "EllipticCurvePrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), password=None)
    except TypeError as cause:
        raise UsageError(
            f"the key in {path} has a password, and a build cannot ask for it",
            hint="`openssl pkey -in KEY -out KEY2` writes it without one; keep that where only you can read it",
        ) from cause
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise UsageError(f"{path} does not have a private key in PEM: {cause}", hint=_MAKE_KEY) from cause
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise UsageError(f"the key in {path} is not one of {', '.join(_CURVES.values())}", hint=_MAKE_KEY)
    return key


def _certificates(path: Path) -> "Sequence[x509.Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as cause:
        raise UsageError(
            f"{path} does not have a certificate in PEM: {cause}",
            hint="give the certificate of the key, and then those of its issuers",
        ) from cause


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as cause:
        raise UsageError(
            f"{path} cannot be read: {cause}", hint="check the path and its permissions"
        ) from cause
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{path} has more than {MOST_BYTES:,} bytes, the most that a PEM file may have",
            hint="name the file of the key or of the certificates",
        )
    return content


@contextmanager
def _trusted_file(credentials: _Credentials) -> Iterator[Path]:
    """A PEM file with what users of the release would trust: the public key, or the last certificate."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if credentials.certificates:
        content = credentials.certificates[-1].public_bytes(Encoding.PEM)
    else:
        content = credentials.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with tempfile.TemporaryDirectory(prefix="distilforge-") as temporary:
        path = Path(temporary) / "trusted.pem"
        path.write_bytes(content)
        yield path
