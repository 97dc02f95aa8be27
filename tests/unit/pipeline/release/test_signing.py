"""Signing a release: what is refused before anything is written, and what is signed."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from distilforge import ReleaseError
from distilforge.trust.bundle import read_bundle

from pipeline.errors import MissingError, StageError, UsageError
from pipeline.release import signing
from pipeline.release.signing import Signer
from tests.signed_release import Key, sign, write_chain, write_key, write_small_release


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return write_key(tmp_path / "keys")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_small_release(tmp_path / "small")


def test_everything_but_the_signature_is_signed(release: Path, key: Key) -> None:
    sign(release, key)
    payload = json.loads(read_bundle(release / "model.sig").payload)
    names = [entry["name"] for entry in payload["predicate"]["resources"]]
    files = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert set(names) == files - {"model.sig"}
    assert {"manifest.json", "statement.intoto.json"} <= set(names)
    assert payload["predicate"]["serialization"]["ignore_paths"] == ["model.sig"]
    assert payload["subject"][0]["name"] == "small"


def test_a_signature_replaces_the_one_before(release: Path, key: Key) -> None:
    sign(release, key, order=1)
    assert signing.is_signed(release, Signer(key=key.private, order=1))
    sign(release, key, order=2)
    assert signing.is_signed(release, Signer(key=key.private, order=2))
    assert not signing.is_signed(release, Signer(key=key.private, order=1))
    assert not signing.is_signed(release, Signer(key=write_key(release.parent / "other").private, order=2))


def test_a_signature_that_nobody_could_verify_leaves_the_one_before(
    release: Path, key: Key, tmp_path: Path
) -> None:
    sign(release, key, order=1)
    before = contents(release)
    chain = write_chain(tmp_path / "chain", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(
        UsageError, match="nobody could verify this signature, so that it was not kept"
    ) as caught:
        signing.sign(release, Signer(key=chain.private, certificates=(chain.leaf, chain.issuer)))
    assert str(release / "model.sig") in caught.value.message
    assert contents(release) == before
    assert signing.is_signed(release, Signer(key=key.private, order=1))


@pytest.mark.parametrize("where", ["statement.render", "_signature", "storage.replace_file"])
def test_a_failure_on_the_way_leaves_the_signature_before(
    release: Path, key: Key, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    sign(release, key, order=1)
    before = contents(release)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"pipeline.release.signing.{where}", full)
        with pytest.raises((UsageError, StageError), match="No space left on device"):
            sign(release, key, order=2)
    assert contents(release) == before
    assert [path.name for path in release.parent.iterdir() if path.name.startswith(".")] == []


def test_a_link_in_place_of_the_statement_is_replaced_and_its_target_stays(
    release: Path, key: Key, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("of somebody else")
    for name in ("statement.intoto.json", "model.sig"):
        (release / name).symlink_to(target)
    sign(release, key)
    assert target.read_text() == "of somebody else"
    assert not any(path.is_symlink() for path in release.rglob("*"))
    assert signing.is_signed(release, Signer(key=key.private))


def test_what_a_killed_process_left_is_replaced(release: Path, key: Key) -> None:
    (release / ".model.sig.new").write_bytes(b"half a signature")
    sign(release, key)
    assert not (release / ".model.sig.new").exists()
    assert signing.is_signed(release, Signer(key=key.private))


def test_a_folder_beside_which_nothing_can_be_written_is_signed(
    release: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = signing.tempfile.TemporaryDirectory

    def refuse(*, prefix: str, dir: Path | None = None) -> object:
        if dir is not None:
            raise PermissionError(13, "Permission denied")
        return real(prefix=prefix)

    monkeypatch.setattr(signing.tempfile, "TemporaryDirectory", refuse)
    sign(release, key)
    assert signing.is_signed(release, Signer(key=key.private))


def contents(folder: Path) -> dict[str, bytes]:
    """The content of every file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_certificate_is_another_signer_than_its_key(release: Path, tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain")
    certified = Signer(key=chain.private, certificates=(chain.leaf, chain.issuer))
    signing.sign(release, certified)
    assert signing.is_signed(release, certified)
    assert not signing.is_signed(release, Signer(key=chain.private))


def test_a_release_that_is_damaged_is_not_signed(release: Path, key: Key) -> None:
    (release / "config.json").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"'config\.json'.*damaged"):
        sign(release, key)
    assert not (release / "model.sig").exists()


def test_a_file_that_is_not_listed_is_not_signed(release: Path, key: Key) -> None:
    (release / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(
        ReleaseError, match=r"notes\.txt in .* is not listed in manifest\.json, and would be signed"
    ):
        sign(release, key)
    assert not (release / "statement.intoto.json").exists()


def test_a_key_that_is_public(release: Path, key: Key) -> None:
    with pytest.raises(UsageError, match=r"does not have a private key in PEM.*\n?.*openssl ecparam"):
        signing.sign(release, Signer(key=key.public))


@pytest.mark.parametrize(
    "private", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())]
)
def test_a_key_that_cannot_sign(
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, match="is not one of P-256, P-384, P-521"):
        signing.check(Signer(key=path))


def test_a_key_with_a_password(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(UsageError, match=r"has a password.*\n  hint: `openssl pkey -in KEY -out KEY2`"):
        signing.check(Signer(key=path))


def test_a_key_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.pem cannot be read"):
        signing.check(Signer(key=tmp_path / "absent.pem"))


def test_a_certificate_of_another_key(tmp_path: Path, key: Key) -> None:
    chain = write_chain(tmp_path / "chain")
    with pytest.raises(UsageError, match=r"the first certificate, of 'CN=issuer', is not that of"):
        signing.check(Signer(key=chain.private, certificates=(chain.issuer, chain.leaf)))
    with pytest.raises(UsageError, match="does not have a certificate in PEM"):
        signing.check(Signer(key=key.private, certificates=(key.public,)))


def test_an_order_below_zero(key: Key) -> None:
    with pytest.raises(UsageError, match="the order must be a whole number of at least 0, found -1"):
        signing.check(Signer(key=key.private, order=-1))


def test_without_the_packages(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "find_spec", lambda name: None)
    with pytest.raises(
        MissingError, match=r"model_signing, OpenSSL, cryptography.*\n  hint: pip install '.*\[sign\]'"
    ):
        signing.check(Signer(key=key.private))
