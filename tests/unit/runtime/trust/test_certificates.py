"""Releases that are signed with a certificate: which chains vouch for it."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from distilforge import ReleaseError
from distilforge.trust.opening import verify_trusted

from pipeline.errors import UsageError
from tests.signed_release import Chain, Key, sign, write_chain, write_small_release


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return write_chain(tmp_path / "chain")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_small_release(tmp_path / "certified")


def refused(release: Path, trust: Path) -> str:
    with pytest.raises(ReleaseError) as caught:
        verify_trusted(release, trust)
    return str(caught.value)


@pytest.mark.parametrize("names", ["leaf issuer root", "leaf issuer", "leaf root issuer"])
def test_the_root_vouches_through_the_issuer(release: Path, chain: Chain, names: str) -> None:
    paths = {"leaf": chain.leaf, "issuer": chain.issuer, "root": chain.root}
    sign(release, chain, certificates=[paths[name] for name in names.split()])
    assert verify_trusted(release, chain.root).signer == "CN=publisher"


def test_a_chain_in_one_file(release: Path, chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "fullchain.pem"
    file.write_bytes(chain.leaf.read_bytes() + chain.issuer.read_bytes())
    sign(release, chain, certificates=[file])
    verify_trusted(release, chain.root)


def test_the_certificate_itself_or_its_issuer_can_be_trusted(release: Path, chain: Chain) -> None:
    sign(release, chain, certificates=[chain.leaf])
    for trusted in (chain.leaf, chain.issuer):
        assert verify_trusted(release, trusted).signer == "CN=publisher"
    assert "no certificate in" in refused(release, chain.root)


def test_a_root_above_the_certificate_that_is_trusted(release: Path, chain: Chain) -> None:
    sign(release, chain, certificates=[chain.leaf, chain.issuer, chain.root])
    verify_trusted(release, chain.issuer)


def test_another_root(release: Path, chain: Chain, tmp_path: Path) -> None:
    sign(release, chain, certificates=[chain.leaf, chain.issuer])
    other = write_chain(tmp_path / "other")
    assert "is by 'CN=publisher', and no certificate in" in refused(release, other.root)


def test_a_certificate_that_has_nothing_to_do_with_it(release: Path, chain: Chain, tmp_path: Path) -> None:
    other = write_chain(tmp_path / "other")
    with pytest.raises(
        UsageError, match="the certificate of 'CN=publisher' does not vouch for it, and is there"
    ):
        sign(release, chain, certificates=[chain.leaf, other.leaf, chain.issuer])


def test_keys_do_not_vouch_for_certificates_nor_the_reverse(
    release: Path, chain: Chain, signed: Path, key: Key
) -> None:
    sign(release, chain, certificates=[chain.leaf, chain.issuer])
    assert "has only public keys" in refused(release, key.public)
    assert "only certificates" in refused(signed, chain.root)


def test_an_issuer_that_may_not_issue(release: Path, tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "bad", issuer_may_issue=False)
    sign(release, chain, certificates=[chain.leaf])
    before = (release / "model.sig").read_bytes()
    sign_with_all = [chain.leaf, chain.issuer, chain.root]
    with pytest.raises(UsageError, match="nobody could verify this signature"):
        sign(release, chain, certificates=sign_with_all)
    assert (release / "model.sig").read_bytes() == before


@pytest.mark.parametrize(
    ("usage", "purpose", "problem"),
    [
        (None, None, "neither KeyUsage nor ExtendedKeyUsage"),
        (False, ExtendedKeyUsageOID.CODE_SIGNING, "lacks digitalSignature"),
        (True, ExtendedKeyUsageOID.SERVER_AUTH, "lacks codeSigning"),
    ],
)
def test_a_certificate_for_something_else(
    release: Path, tmp_path: Path, usage: bool | None, purpose: ExtendedKeyUsageOID, problem: str
) -> None:
    chain = write_chain(tmp_path / "chain", usage=usage, purpose=purpose)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=problem):
        sign(release, chain, certificates=[chain.leaf, chain.issuer])


@pytest.mark.parametrize(("usage", "purpose"), [(True, None), (None, ExtendedKeyUsageOID.CODE_SIGNING)])
def test_one_statement_of_the_purpose_is_enough(
    release: Path, tmp_path: Path, usage: bool | None, purpose: ExtendedKeyUsageOID | None
) -> None:
    chain = write_chain(tmp_path / "chain", usage=usage, purpose=purpose)  # type: ignore[arg-type]
    sign(release, chain, certificates=[chain.leaf, chain.issuer])
    verify_trusted(release, chain.root)


def test_an_expired_certificate_still_vouches(release: Path, tmp_path: Path) -> None:
    """Nobody vouches for the time of a signature; SECURITY.md says so."""
    chain = write_chain(tmp_path / "chain", valid=timedelta(days=1))
    sign(release, chain, certificates=[chain.leaf, chain.issuer])
    verify_trusted(release, chain.root)
