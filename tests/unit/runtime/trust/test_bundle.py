"""A signature file is read strictly: nothing in it can be changed unnoticed, and no bytes give another error."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from distilforge import ReleaseError
from distilforge.trust import document
from distilforge.trust.opening import verify_trusted

from tests.signed_release import Key

Change = Callable[[dict[str, object]], object]


def change(release: Path, changed: Callable[[str], str]) -> None:
    path = release / "model.sig"
    path.write_text(changed(path.read_text(encoding="utf-8")), encoding="utf-8")


def refused(release: Path, key: Key) -> str:
    with pytest.raises(ReleaseError) as caught:
        verify_trusted(release, key.public)
    return str(caught.value)


def test_layout_does_not_matter(signed: Path, key: Key) -> None:
    """Another program may write the same bundle with line ends."""
    change(signed, lambda text: json.dumps(json.loads(text), indent=2))
    verify_trusted(signed, key.public)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"keyid"', '"keyId"'),
        ('"keyid":""', '"keyid":"x"'),
        ('"keyid":""', '"keyid":"","more":1'),
        ('"mediaType":"application', '"mediaType":"Application'),
        ('"tlogEntries":[]', '"tlogEntries":[1]'),
        ('"tlogEntries":[]', '"tlogEntries":{}'),
        ("vnd.in-toto+json", "vnd.in-toto-json"),
        ('"signatures":[', '"signatures":[{"sig":"AAAA","keyid":""},'),
        ('"payload":"', '"payload":" '),
        ('"payload":"', '"payload":"\\u0065'),
        ('"keyid":""', '"keyid":"","keyid":""'),
        ('"hint":"', '"hint":7,"x":"'),
        ('"publicKey"', '"certificate"'),
    ],
)
def test_whatever_is_not_understood_is_refused(signed: Path, key: Key, before: str, after: str) -> None:
    text = (signed / "model.sig").read_text(encoding="utf-8")
    assert before in text
    change(signed, lambda text: text.replace(before, after, 1))
    assert "model.sig" in refused(signed, key)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"a":' + b"1" * 5000 + b"}",
        b'"\\ud800"',
    ],
)
def test_bytes_that_are_not_a_bundle(signed: Path, key: Key, content: bytes) -> None:
    (signed / "model.sig").write_bytes(content)
    assert "model.sig" in refused(signed, key)


def test_a_file_that_is_too_large(signed: Path, key: Key) -> None:
    (signed / "model.sig").write_bytes(b" " * (document.MOST_BYTES + 1))
    assert f"more than {document.MOST_BYTES:,} bytes" in refused(signed, key)


def test_a_signature_that_is_a_folder(signed: Path, key: Key) -> None:
    (signed / "model.sig").unlink()
    (signed / "model.sig").mkdir()
    assert "is not signed" in refused(signed, key)
