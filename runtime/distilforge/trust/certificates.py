"""Chains of X.509 certificates, from the one whose key signed a release to one that is trusted."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from distilforge.errors import InputError, ReleaseError
from distilforge.trust.bundle import Bundle
from distilforge.trust.keys import TrustedKeys

MOST_ISSUERS = 8
"""The most certificates between the one that signed and a trusted one."""
_HINT = "ask the publisher which certificate to trust"
# What cryptography raises for certificates that are damaged, of a kind that it does not know, or not vouched for
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    verification.VerificationError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def certified_key(bundle: Bundle, trusted: TrustedKeys) -> tuple[EllipticCurvePublicKey, str]:
    """The key of the certificate that signed, and that certificate's subject.

    The certificate must be a trusted one, or issued by one through the other certificates of the bundle, and be meant
    for signatures. Every other certificate of the bundle must be one of these issuers, or the root above them. All must
    have been valid when the first one was issued. Whether it has expired since, or was revoked, does not count: nobody
    vouches for the time of a signature. OpenSSF's model signing has the same rule. Raises ReleaseError if any of this
    is not so, and InputError if a trusted certificate is damaged.
    """
    try:
        anchors = [x509.load_der_x509_certificate(der) for der in trusted.certificates]
        store = verification.Store(anchors)
    except _UNREADABLE as cause:
        raise InputError(
            f"{trusted.path!r} has a certificate that is damaged: {cause}", hint=_HINT
        ) from cause
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in bundle.certificates]
        signer = certificates[0].subject.rfc4514_string()
    except _UNREADABLE as cause:
        raise ReleaseError(
            f"{bundle.place} has a certificate that is damaged: {cause}", hint=_HINT
        ) from cause
    try:
        return _verified_key(certificates, store), signer
    except _UNREADABLE as cause:
        raise ReleaseError(
            f"{bundle.place} is by {signer!r}, and no certificate in {trusted.path!r} vouches for it: {cause}",
            hint=_HINT,
        ) from cause


def _verified_key(
    certificates: Sequence[x509.Certificate], store: verification.Store
) -> EllipticCurvePublicKey:
    """The key of the first of `certificates`; one of _UNREADABLE if `store` does not vouch for it."""
    leaf, *issuers = certificates
    policy = (
        verification.PolicyBuilder()
        .store(store)
        .time(leaf.not_valid_before_utc)
        .max_chain_depth(MOST_ISSUERS)
        .extension_policies(ca_policy=_issuers(), ee_policy=verification.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    chain = policy.verify(leaf, issuers).chain
    for issuer in issuers:
        if issuer not in chain and not _is_root(issuer, chain):
            name = issuer.subject.rfc4514_string()
            raise ValueError(f"the certificate of {name!r} does not vouch for it, and is there")
    key = leaf.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("its key is not an elliptic curve's")
    _check_purpose(leaf)
    return key


def _is_root(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> bool:
    """Whether `certificate` signed itself and one of `chain`, so that no bit of it can be wrong."""
    return _is_issued(certificate, certificate) and any(_is_issued(issued, certificate) for issued in chain)


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def _issuers() -> verification.ExtensionPolicy:
    """The policy for issuers: they may issue certificates. The usual policy is for web servers, and wants more."""

    def check_authority(
        policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints
    ) -> None:
        if not constraints.ca:
            raise ValueError(f"{certificate.subject.rfc4514_string()} may not issue certificates")

    def check_usage(
        policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
    ) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError(f"{certificate.subject.rfc4514_string()} may not sign certificates")

    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, check_authority)
        .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, check_usage)
    )


def _check_purpose(leaf: x509.Certificate) -> None:
    """ValueError if the key of `leaf` may not sign releases."""
    usage = [one.value for one in leaf.extensions if isinstance(one.value, x509.KeyUsage)]
    purpose = [one.value for one in leaf.extensions if isinstance(one.value, x509.ExtendedKeyUsage)]
    if not usage and not purpose:
        raise ValueError("it is not said to be for signatures: it has neither KeyUsage nor ExtendedKeyUsage")
    if any(not entry.digital_signature for entry in usage):
        raise ValueError("it is not for signatures: its KeyUsage lacks digitalSignature")
    if any(ExtendedKeyUsageOID.CODE_SIGNING not in entry for entry in purpose):
        raise ValueError("it is not for signing code: its ExtendedKeyUsage lacks codeSigning")
