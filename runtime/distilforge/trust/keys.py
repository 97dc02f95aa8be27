"""The keys and certificates that an application trusts, from a PEM file."""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distilforge.errors import InputError

Curve = Literal["P-256", "P-384", "P-521"]
"""The curve of a key that can sign; OpenSSF's model signing has the same ones."""

MOST_BYTES = 1 << 20
"""The largest PEM file that is read."""
_PUBLIC_KEY, _CERTIFICATE = "PUBLIC KEY", "CERTIFICATE"
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_PRINT_PUBLIC_KEY = "`openssl pkey -in KEY -pubout` prints the public key of a private one"
# A public key in DER (RFC 5480) is one of these prefixes and an uncompressed point: 4, x, y. Reading it here saves
# cryptography's own reader of PEM, whose import takes three times as long as that of the curves.
_PREFIXES: Mapping[Curve, bytes] = {
    "P-256": bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    "P-384": bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
    "P-521": bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
}
_POINT_BYTES: Mapping[Curve, int] = {"P-256": 65, "P-384": 97, "P-521": 133}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key, which may not be on its curve."""

    curve: Curve
    """The curve."""
    point: bytes
    """The point, uncompressed."""
    fingerprint: str
    """How a signature names the key that made it: the SHA-256 of its PEM, in hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """The content of a PEM file."""

    path: str
    """The file's path, for messages."""
    public_keys: tuple[PublicKey, ...]
    """The public keys."""
    certificates: tuple[bytes, ...]
    """The certificates, in DER."""


def read_trusted_keys(path: str | os.PathLike[str]) -> TrustedKeys:
    """The public keys and certificates in the PEM file `path`.

    Raises InputError if it cannot be read, has neither, or has anything else, such as a private key.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"trust must be the path of a PEM file, found {path!r:.80}",
            hint="pass the publisher's public key or certificate",
        )
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, ValueError) as cause:
        raise InputError(
            f"the trusted key {name!r} cannot be read: {cause}",
            hint="pass the path of a PEM file with the publisher's public key or certificate",
        ) from cause
    if len(content) > MOST_BYTES:
        raise InputError(
            f"{name!r} has more than {MOST_BYTES:,} bytes, the most that a file of trusted keys may have",
            hint="pass a PEM file with the publisher's public key or certificate alone",
        )
    blocks = [(kind, _der(body, name)) for kind, body in _BLOCK.findall(text)]
    for kind, _ in blocks:
        if kind not in (_PUBLIC_KEY, _CERTIFICATE):
            raise InputError(
                f"{name!r} has a block {kind!r}; only public keys and certificates can be trusted",
                hint=_PRINT_PUBLIC_KEY,
            )
    if not blocks:
        raise InputError(
            f"{name!r} has neither a public key nor a certificate in PEM", hint=_PRINT_PUBLIC_KEY
        )
    return TrustedKeys(
        path=name,
        public_keys=tuple(_public_key(der, name) for kind, der in blocks if kind == _PUBLIC_KEY),
        certificates=tuple(der for kind, der in blocks if kind == _CERTIFICATE),
    )


def _der(body: str, name: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as cause:
        raise InputError(f"{name!r} is not valid PEM: {cause}", hint=_PRINT_PUBLIC_KEY) from cause


def _public_key(der: bytes, name: str) -> PublicKey:
    for curve, prefix in _PREFIXES.items():
        point = der.removeprefix(prefix)
        if der.startswith(prefix) and len(point) == _POINT_BYTES[curve]:
            return PublicKey(curve=curve, point=point, fingerprint=_fingerprint(der))
    raise InputError(
        f"{name!r} has a public key that is not one of {', '.join(_PREFIXES)}",
        hint="`openssl ecparam -name prime256v1 -genkey -noout -out KEY` makes a key that can sign",
    )


def _fingerprint(der: bytes) -> str:
    encoded = base64.b64encode(der).decode()
    lines = (encoded[start : start + 64] for start in range(0, len(encoded), 64))
    pem = "\n".join([f"-----BEGIN {_PUBLIC_KEY}-----", *lines, f"-----END {_PUBLIC_KEY}-----", ""])
    return hashlib.sha256(pem.encode()).hexdigest()
