"""Files of trusted keys: what can be trusted, and what is refused with a hint."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from distilforge import InputError
from distilforge.trust import keys
from distilforge.trust.keys import read_trusted_keys
from distilforge.trust.opening import verify_trusted

from tests.signed_release import Key, sign, write_chain, write_key, write_small_release


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_every_curve_that_can_sign(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = write_key(tmp_path, curve=curve)
    release = sign(write_small_release(tmp_path / "small"), key)
    assert verify_trusted(release, key.public).signer.startswith("the key ")


def test_several_keys_in_one_file(signed: Path, key: Key, other_key: Key, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"of the team\n" + other_key.public.read_bytes() + key.public.read_bytes())
    assert len(read_trusted_keys(both).public_keys) == 2
    verify_trusted(signed, both)


def test_keys_and_certificates_in_one_file(signed: Path, key: Key, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(write_chain(tmp_path / "chain").root.read_bytes() + key.public.read_bytes())
    trusted = read_trusted_keys(str(both))
    assert (len(trusted.public_keys), len(trusted.certificates)) == (1, 1)
    verify_trusted(signed, both)


def test_windows_line_ends(signed: Path, key: Key, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(key.public.read_bytes().replace(b"\n", b"\r\n"))
    verify_trusted(signed, path)


def test_a_private_key_is_refused(key: Key) -> None:
    with pytest.raises(
        InputError, match=r"has a block 'PRIVATE KEY'.*\n  hint: `openssl pkey -in KEY -pubout`"
    ):
        read_trusted_keys(key.private)


@pytest.mark.parametrize(
    "other",
    [
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
    ],
    ids=["ed25519", "rsa", "secp256k1"],
)
def test_another_kind_of_key(
    other: ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(InputError, match="is not one of P-256, P-384, P-521"):
        read_trusted_keys(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAA", b"\xff\xfe"])
def test_a_file_without_a_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"key\.pem"):
        read_trusted_keys(path)


@pytest.mark.parametrize("body", ["AAA", "!", "AAAA=AAA"])
def test_pem_that_is_not_base64(tmp_path: Path, body: str) -> None:
    path = tmp_path / "key.pem"
    path.write_text(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n", encoding="ascii")
    with pytest.raises(InputError, match=r"not valid PEM|neither a public key"):
        read_trusted_keys(path)


def test_a_point_that_is_not_on_the_curve(signed: Path, key: Key, tmp_path: Path) -> None:
    (public_key,) = read_trusted_keys(key.public).public_keys
    path = tmp_path / "key.pem"
    import base64

    prefix = keys._PREFIXES["P-256"]
    der = prefix + public_key.point[:-1] + bytes([public_key.point[-1] ^ 1])
    path.write_bytes(
        b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n"
    )
    text = (signed / "model.sig").read_text(encoding="utf-8")
    (wrong,) = read_trusted_keys(path).public_keys
    (signed / "model.sig").write_text(
        text.replace(public_key.fingerprint, wrong.fingerprint), encoding="utf-8"
    )
    with pytest.raises(InputError, match="is not on the curve P-256"):
        verify_trusted(signed, path)


def test_a_file_that_is_absent_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pem' cannot be read"):
        read_trusted_keys(tmp_path / "absent.pem")
    with pytest.raises(InputError, match="cannot be read"):
        read_trusted_keys(tmp_path)
    (tmp_path / "large.pem").write_bytes(b" " * (keys.MOST_BYTES + 1))
    with pytest.raises(InputError, match=r"more than 1,048,576 bytes(.|\n)*hint: pass a PEM file"):
        read_trusted_keys(tmp_path / "large.pem")


@pytest.mark.parametrize("value", [7, b"key.pem", ["key.pem"], True])
def test_what_is_not_a_path(value: object) -> None:
    with pytest.raises(InputError, match="trust must be the path of a PEM file, found"):
        read_trusted_keys(value)  # type: ignore[arg-type]
