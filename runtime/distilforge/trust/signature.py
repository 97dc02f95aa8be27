"""The signature of a release, verified with the keys that an application trusts."""

from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from distilforge.errors import InputError, ReleaseError
from distilforge.trust import document
from distilforge.trust.bundle import Bundle, read_bundle
from distilforge.trust.keys import Curve, PublicKey, TrustedKeys
from distilforge.trust.payload import SignedFiles, signed_files

_CURVES: Mapping[Curve, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
# By the bits of the curve, as OpenSSF's model signing has it
_HASHES: Mapping[int, hashes.HashAlgorithm] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}


def verified_files(path: Path, trusted: TrustedKeys) -> SignedFiles:
    """What the signature in the file `path` signs.

    Raises ReleaseError if it is absent, damaged, or by none of `trusted`; InputError if a trusted key is damaged.
    """
    bundle = read_bundle(path)
    key, signer = _signer(bundle, trusted)
    algorithm = _HASHES.get(key.curve.key_size)
    if algorithm is None:
        raise ReleaseError(
            f"{bundle.place} is by a key of {key.curve.key_size} bits; it must have {', '.join(map(str, _HASHES))}",
            hint=document.SIGN_AGAIN,
        )
    try:
        key.verify(bundle.signature, bundle.signed_bytes, ec.ECDSA(algorithm))
    except InvalidSignature as cause:
        raise ReleaseError(
            f"{bundle.place} is forged or damaged: it was not made by {signer} for what it lists",
            hint="do not use this release unless you trust where it came from; get it again from its publisher",
        ) from cause
    return signed_files(bundle, signer)


def _signer(bundle: Bundle, trusted: TrustedKeys) -> tuple[ec.EllipticCurvePublicKey, str]:
    """The trusted key that `bundle` is to be verified with, and its name."""
    if bundle.certificates:
        if not trusted.certificates:
            raise ReleaseError(
                f"{bundle.place} is by a certificate, and {trusted.path!r} has only public keys",
                hint="pass the certificate of its issuer",
            )
        # Certificates are rare, and take longer to import than keys
        from distilforge.trust.certificates import certified_key

        return certified_key(bundle, trusted)
    for key in trusted.public_keys:
        if key.fingerprint == bundle.fingerprint:
            return _on_curve(key, trusted.path), f"the key {key.fingerprint[:16]}"
    names = ", ".join(key.fingerprint[:16] for key in trusted.public_keys) or "only certificates"
    raise ReleaseError(
        f"{bundle.place} is by the key {bundle.fingerprint[:16]!r}, and {trusted.path!r} has {names}",
        hint="do not use this release unless you trust that key; check with its publisher",
    )


def _on_curve(key: PublicKey, path: str) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[key.curve], key.point)
    except ValueError as cause:
        raise InputError(
            f"{path!r} has a public key that is not on the curve {key.curve}: {cause}",
            hint="get the key again from the publisher",
        ) from cause
