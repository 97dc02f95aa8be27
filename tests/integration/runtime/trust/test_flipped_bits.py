"""One flipped bit anywhere in a signed release is refused, in the manifest and in the signature too."""

import random
from pathlib import Path

import pytest
from distilforge import ReleaseError
from distilforge.trust.opening import verify_trusted

from tests.signed_release import Key, sign, write_chain, write_key, write_small_release

FLIPS = 1000
CERTIFIED_FLIPS = 200


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """The publisher's key."""
    return write_key(tmp_path)


@pytest.fixture
def signed(tmp_path: Path, key: Key) -> Path:
    """A small release that is signed with `key`; a test may change it."""
    return sign(write_small_release(tmp_path / "small"), key, order=7)


def flips(release: Path, trust: Path, count: int) -> tuple[set[str], list[str]]:
    """The files in which a bit was flipped, each place of the release being as likely, and the flips not refused."""
    files = sorted(path for path in release.rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}
    places = [(path, index) for path in files for index in range(len(contents[path]))]
    flipped: set[str] = set()
    accepted: list[str] = []
    for path, index in random.Random(20).sample(places, count):
        content = bytearray(contents[path])
        bit = index % 8
        content[index] ^= 1 << bit
        path.write_bytes(content)
        flipped.add(path.name)
        try:
            verify_trusted(release, trust)
        except ReleaseError:
            pass
        else:
            accepted.append(f"{path.name}, byte {index}, bit {bit}")
        path.write_bytes(contents[path])
    verify_trusted(release, trust)
    return flipped, accepted


def test_signed_with_a_key(signed: Path, key: Key) -> None:
    flipped, accepted = flips(signed, key.public, FLIPS)
    assert flipped >= {"manifest.json", "model.sig", "statement.intoto.json", "model.onnx", "README.md"}
    assert accepted == []


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_signed_with_a_certificate(tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain")
    release = sign(
        write_small_release(tmp_path / "small"), chain, certificates=(chain.leaf, chain.issuer, chain.root)
    )
    flipped, accepted = flips(release, chain.root, CERTIFIED_FLIPS)
    assert "model.sig" in flipped
    assert accepted == []


def test_the_unused_bits_of_base64_count(signed: Path, key: Key) -> None:
    """A decoder ignores some bits of the last character before the padding."""
    path = signed / "model.sig"
    text = path.read_text(encoding="utf-8")
    places = [index for index in range(1, len(text)) if text[index] == "=" and text[index - 1] != "="]
    for place in places:
        changed = chr(ord(text[place - 1]) ^ 1)
        if changed.isalnum():
            path.write_text(text[: place - 1] + changed + text[place:], encoding="utf-8")
            with pytest.raises(ReleaseError):
                verify_trusted(signed, key.public)
