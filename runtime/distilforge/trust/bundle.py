"""A release's signature file: a Sigstore bundle, as OpenSSF's model signing writes it with a key or a certificate.

Everything in it is read, and has to be what it must be: a bit that nobody looks at could be changed unnoticed.
"""

from dataclasses import dataclass
from pathlib import Path

from distilforge.errors import ReleaseError
from distilforge.trust import document

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signature and what it signs. Nothing of it is verified yet."""

    place: str
    """The path of the file, for messages."""
    payload: bytes
    """What is signed: an in-toto statement with the digest of every file."""
    signature: bytes
    """The signature of the payload with its type, an ECDSA signature in DER."""
    fingerprint: str
    """The fingerprint of the key that signed; empty if there are certificates."""
    certificates: tuple[bytes, ...]
    """The certificate of the key that signed, and those of its issuers, in DER; empty if there is a fingerprint."""

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that the signature signs: DSSE's pre-authentication encoding of the payload.

        Source: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
        """
        head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(self.payload)} "
        return head.encode() + self.payload


def read_bundle(path: Path) -> Bundle:
    """The signature in the file `path`; ReleaseError if it is absent or not what model signing writes."""
    place = repr(str(path))
    if not path.is_file():
        raise ReleaseError(
            f"{str(path.parent)!r} is not signed: it has no {path.name}",
            hint="ask its publisher to sign it: `distilforge sign RELEASE --key KEY`",
        )
    content = document.read(path)
    if b"\\" in content:
        # An escape can be written in several ways, and none is needed
        raise ReleaseError(f"{place} is damaged: it has an escape sequence", hint=document.SIGN_AGAIN)
    media_type, material, envelope = document.members(
        document.parse(content, place), ("mediaType", "verificationMaterial", "dsseEnvelope"), place
    )
    payload, payload_type, signatures = document.members(
        envelope, ("payload", "payloadType", "signatures"), f"{place}: dsseEnvelope"
    )
    _check_constant(media_type, MEDIA_TYPE, f"{place}: mediaType")
    _check_constant(payload_type, PAYLOAD_TYPE, f"{place}: payloadType")
    several = document.entries(signatures, f"{place}: signatures")
    if len(several) != 1:
        raise document.unexpected(signatures, "one signature", f"{place}: signatures")
    signature, key_id = document.members(several[0], ("sig", "keyid"), f"{place}: signatures")
    _check_constant(key_id, "", f"{place}: keyid")
    fingerprint, certificates = _material(material, f"{place}: verificationMaterial")
    return Bundle(
        place=place,
        payload=document.data(payload, f"{place}: payload"),
        signature=document.data(signature, f"{place}: sig"),
        fingerprint=fingerprint,
        certificates=certificates,
    )


def _material(material: object, place: str) -> tuple[str, tuple[bytes, ...]]:
    """The fingerprint of the key, or else the certificates."""
    if isinstance(material, dict) and "publicKey" in material:
        key, log = document.members(material, ("publicKey", "tlogEntries"), place)
        (hint,) = document.members(key, ("hint",), f"{place}: publicKey")
        _check_constant(log, [], f"{place}: tlogEntries")
        return document.text(hint, f"{place}: hint"), ()
    chain, log = document.members(material, ("x509CertificateChain", "tlogEntries"), place)
    (certificates,) = document.members(chain, ("certificates",), f"{place}: x509CertificateChain")
    _check_constant(log, [], f"{place}: tlogEntries")
    place = f"{place}: certificates"
    encoded = [
        document.members(entry, ("rawBytes",), place) for entry in document.entries(certificates, place)
    ]
    if not encoded:
        raise document.unexpected(certificates, "at least one certificate", place)
    return "", tuple(document.data(value, place) for (value,) in encoded)


def _check_constant(value: object, expected: object, place: str) -> None:
    if value != expected:
        raise document.unexpected(value, repr(expected), place)
