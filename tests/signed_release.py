"""Keys, certificates and signatures for tests about trust."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from distilforge.manifest import Manifest, Span, Tensor, Variant, Verdict

from pipeline.release import signing
from pipeline.release.signing import Signer
from tests.runtime_release import PROVENANCE, record_files, write_manifest

CONFIG = b'{"architectures": ["DistilBertModel"], "dim": 4, "max_position_embeddings": 64, "vocab_size": 7}\n'
CREATED = "2026-06-01T12:00:00+00:00"
PASSED = Verdict(
    check="outputs that are not finite", observed=0, comparison="at most", limit=0, unit="", reason="always"
)
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key's files."""

    private: Path
    """The private key."""
    public: Path
    """The public key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A certificate that signs releases, its issuer, and the root."""

    private: Path
    """The private key of the certificate."""
    leaf: Path
    """The certificate."""
    issuer: Path
    """The certificate of its issuer."""
    root: Path
    """The certificate that users trust."""


def write_key(folder: Path, name: str = "key", curve: ec.EllipticCurve | None = None) -> Key:
    """A new key in `folder`."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    folder.mkdir(exist_ok=True)
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(_private(key))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return Key(private=private, public=public)


def write_chain(
    folder: Path,
    *,
    usage: bool | None = True,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CODE_SIGNING,
    issuer_may_issue: bool = True,
    valid: timedelta = timedelta(days=30),
) -> Chain:
    """A root, an issuer and a certificate of a key in `folder`.

    `usage` says whether the certificate's KeyUsage has digitalSignature, and None leaves it out; so does `purpose` with
    ExtendedKeyUsage.
    """
    folder.mkdir(exist_ok=True)
    root_key, issuer_key, key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
    extensions: list[x509.ExtensionType] = []
    if usage is not None:
        extensions.append(_usage(digital_signature=usage))
    if purpose is not None:
        extensions.append(x509.ExtendedKeyUsage([purpose]))
    authority = [x509.BasicConstraints(ca=True, path_length=None), _usage(key_cert_sign=True)]
    root = _certificate("root", root_key, "root", root_key, authority, timedelta(days=365))
    middle = _certificate(
        "issuer",
        issuer_key,
        "root",
        root_key,
        authority if issuer_may_issue else [x509.BasicConstraints(ca=False, path_length=None)],
        timedelta(days=365),
    )
    leaf = _certificate("publisher", key, "issuer", issuer_key, extensions, valid)
    chain = Chain(
        private=folder / "publisher.key.pem",
        leaf=folder / "publisher.pem",
        issuer=folder / "issuer.pem",
        root=folder / "root.pem",
    )
    chain.private.write_bytes(_private(key))
    for path, certificate in ((chain.leaf, leaf), (chain.issuer, middle), (chain.root, root)):
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return chain


def write_small_release(folder: Path) -> Path:
    """A release of a few small files that no engine could run, in the new folder `folder`."""
    for name, content in (
        ("config.json", CONFIG),
        ("tokenizer.json", b"{}\n"),
        ("onnx/model.onnx", bytes(range(256)) * 4),
        ("onnx/model_quantized.onnx", hashlib.sha256(b"weights").digest() * 8),
        ("README.md", b"# A model\n"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    variants = tuple(
        Variant(
            target="onnxruntime-cpu", precision=precision, files=(file,), validated=True, verdicts=(PASSED,)
        )
        for precision, file in (("fp32", "onnx/model.onnx"), ("int8", "onnx/model_quantized.onnx"))
    )
    write_manifest(
        folder,
        Manifest(
            name="small",
            version="0123456789ab",
            head="features",
            labels=(),
            problem_type=None,
            inputs=(Tensor(name="input_ids", dtype="int64", shape=("batch", "sequence")),),
            outputs=(Tensor(name="last_hidden_state", dtype="float32", shape=("batch", "sequence", 4)),),
            spans={"batch": Span(low=1, usual=1, high=8), "sequence": Span(low=2, usual=16, high=64)},
            variants=variants,
            files=record_files(folder),
            provenance=replace(PROVENANCE, created=CREATED, data_sha256={"evaluation": "3" * 64}),
        ),
    )
    return folder


def sign(
    folder: Path, key: Key | Chain, *, certificates: Sequence[Path] = (), order: int | None = None
) -> Path:
    """Sign the release in `folder` with `key`, and return `folder`."""
    signing.sign(folder, Signer(key=key.private, certificates=tuple(certificates), order=order))
    return folder


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=not (digital_signature or key_cert_sign),
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: Sequence[x509.ExtensionType],
    valid: timedelta,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED)
        .not_valid_after(ISSUED + valid)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())
