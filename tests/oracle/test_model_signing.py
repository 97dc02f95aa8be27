"""Signatures of releases, held against OpenSSF's model signing: each side verifies what the other one signed."""

from pathlib import Path

import pytest
from distilforge import ReleaseError
from distilforge.trust.opening import verify_trusted
from model_signing import hashing, signing, verifying

from tests.signed_release import sign, write_chain, write_key, write_small_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_small_release(tmp_path / "small")


def test_it_verifies_our_signature_with_a_key(release: Path, tmp_path: Path) -> None:
    key = write_key(tmp_path / "keys")
    sign(release, key)
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=key.public)
    # As its command line does: files like .gitignore count too
    verifier.set_hashing_config(
        hashing.Config().set_ignored_paths(paths=["model.sig"], ignore_git_paths=False)
    )
    verifier.verify(release, release / "model.sig")
    (release / "README.md").write_text("changed", encoding="utf-8")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'README\.md'"):
        verifier.verify(release, release / "model.sig")


def test_it_verifies_our_signature_with_a_certificate(release: Path, tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain")
    sign(release, chain, certificates=[chain.leaf, chain.issuer])
    verifying.Config().use_certificate_verifier(certificate_chain=[chain.root]).verify(
        release, release / "model.sig"
    )


def test_we_verify_its_signature_with_a_key(release: Path, tmp_path: Path) -> None:
    key = write_key(tmp_path / "keys")
    config = signing.Config().use_elliptic_key_signer(private_key=key.private)
    config.sign(release, release / "model.sig")
    trusted = verify_trusted(release, key.public)
    assert trusted.order is None
    (release / ".gitignore").write_text("what it ignores by default", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"'\.gitignore' was added"):
        verify_trusted(release, key.public)


def test_we_verify_its_signature_with_a_certificate(release: Path, tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain")
    config = signing.Config().use_certificate_signer(
        private_key=chain.private, signing_certificate=chain.leaf, certificate_chain=[chain.issuer]
    )
    config.sign(release, release / "model.sig")
    assert verify_trusted(release, chain.root).signer == "CN=publisher"


def test_other_digests_than_sha256_are_refused(release: Path, tmp_path: Path) -> None:
    key = write_key(tmp_path / "keys")
    blake = hashing.Config().use_file_serialization(hashing_algorithm="blake2")
    config = signing.Config().use_elliptic_key_signer(private_key=key.private).set_hashing_config(blake)
    config.sign(release, release / "model.sig")
    with pytest.raises(ReleaseError, match="must be a SHA-256"):
        verify_trusted(release, key.public)
