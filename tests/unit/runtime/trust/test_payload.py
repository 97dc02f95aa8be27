"""What a verified signature signs: other statements of the same signer are refused."""

import json
from pathlib import Path

import pytest
from distilforge import ReleaseError
from distilforge.trust.bundle import Bundle, read_bundle
from distilforge.trust.payload import signed_files


def bundle(payload: object) -> Bundle:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Bundle(place="'model.sig'", payload=content, signature=b"", fingerprint="", certificates=())


@pytest.fixture
def statement(signed: Path) -> dict[str, object]:
    """What model signing says of a small release."""
    value = json.loads(read_bundle(signed / "model.sig").payload)
    assert isinstance(value, dict)
    return value


def test_every_file_but_the_signature(signed: Path, statement: dict[str, object]) -> None:
    files = {path.relative_to(signed).as_posix() for path in signed.rglob("*") if path.is_file()}
    assert signed_files(bundle(statement), "").digests.keys() == files - {"model.sig"}


@pytest.mark.parametrize(
    ("text", "replacement", "message"),
    [
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v2", "_type must be"),
        ("https://model_signing/signature/v1.0", "https://slsa.dev/provenance/v1", "predicateType must be"),
        ('"method": "files"', '"method": "shards"', "method must be 'files'"),
        ('"algorithm": "sha256"', '"algorithm": "blake2"', "a SHA-256 of 64 hexadecimal digits"),
        ('"name": "config.json"', '"name": "README.md"', "signed once"),
        ('"name": "config.json"', '"name": 7', "must be text, found 7"),
        ('"resources": [', '"resources": [7, ', "an object with name"),
        ('"resources"', '"resource"', "an object with resources"),
    ],
)
def test_another_statement(statement: dict[str, object], text: str, replacement: str, message: str) -> None:
    changed = json.dumps(statement).replace(text, replacement, 1)
    with pytest.raises(ReleaseError, match=message):
        signed_files(bundle(changed.encode()), "")


def test_a_subject_that_is_not_the_digest_of_all(statement: dict[str, object]) -> None:
    statement["subject"] = [{"name": "small", "digest": {"sha256": "0" * 64}}]
    with pytest.raises(ReleaseError, match="the digest of all digests"):
        signed_files(bundle(statement), "")


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\xff", b'{"a": 1, "a": 2}'])
def test_bytes_that_are_not_a_statement(payload: bytes) -> None:
    with pytest.raises(ReleaseError, match="payload"):
        signed_files(bundle(payload), "")
