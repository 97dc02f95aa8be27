"""A release that is not what its publisher signed is refused, and the refusal says what differs."""

import hashlib
import json
import logging
import os
import pickle
import shutil
import sys
from pathlib import Path

import distilforge
import pytest
from distilforge import InputError, ReleaseError, UnavailableError
from distilforge.release import verify
from distilforge.trust import opening
from distilforge.trust.opening import read_trusted, verify_trusted

from tests.runtime_release import GRAPH, copied, record_again
from tests.signed_release import CONFIG, CREATED, Key, sign, write_small_release

HEAD = "sequence_classification"


@pytest.fixture
def release(tmp_path: Path, key: Key) -> Path:
    """A release that opens, signed with `key` and the order 7."""
    return sign(copied(HEAD, tmp_path / "sentiment"), key, order=7)


def refused(release: Path, trust: Path) -> str:
    """The message of `verify_trusted`."""
    with pytest.raises(ReleaseError) as caught:
        verify_trusted(release, trust)
    return str(caught.value)


def pin(release: Path) -> str:
    return hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()


def test_a_signed_release_is_what_it_was(signed: Path, key: Key) -> None:
    trusted = verify_trusted(signed, key.public)
    assert trusted.manifest == verify(signed)
    assert trusted.order == 7
    assert trusted.signer.startswith("the key ")


def test_a_signed_release_opens_and_the_log_says_who_signed(
    release: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="distilforge"):
        session = distilforge.open(release, trust=key.public)
    assert session("good movie").label in session.labels
    assert f"{release} is signed by the key " in caplog.text


def test_a_signature_disturbs_nobody_who_does_not_ask(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    verify(release)
    distilforge.open(release)
    assert not caplog.records


def test_open_and_verify_refuse_alike(release: Path, key: Key, other_key: Key) -> None:
    (release / "vocab.txt").write_text("other\n", encoding="utf-8")
    record_again(release)
    with pytest.raises(ReleaseError) as caught:
        distilforge.open(release, trust=key.public)
    assert str(caught.value) == refused(release, key.public)
    distilforge.open(release)


def test_a_file_of_a_variant_that_is_not_loaded_counts_too(tmp_path: Path, key: Key) -> None:
    release = copied(HEAD, tmp_path / "sentiment")
    shutil.copyfile(release / GRAPH, release / "onnx" / "other.onnx")
    document = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    document["variants"].append(
        {**document["variants"][0], "precision": "int8", "files": ["onnx/other.onnx"]}
    )
    (release / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    record_again(release)
    sign(release, key)
    content = bytearray((release / "onnx" / "other.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (release / "onnx" / "other.onnx").write_bytes(content)
    chosen = "onnxruntime-cpu:fp32"
    distilforge.open(release, variant=chosen)
    with pytest.raises(ReleaseError, match=r"'onnx/other\.onnx'.*damaged"):
        distilforge.open(release, variant=chosen, trust=key.public)


def test_not_signed(tmp_path: Path, key: Key) -> None:
    release = write_small_release(tmp_path / "small")
    assert "is not signed: it has no model.sig\n  hint: ask its publisher" in refused(release, key.public)


def test_signed_by_another(signed: Path, other_key: Key) -> None:
    assert "is by the key " in refused(signed, other_key.public)


def test_signed_again_by_another(signed: Path, key: Key, other_key: Key) -> None:
    sign(signed, other_key)
    assert "is by the key " in refused(signed, key.public)
    assert verify_trusted(signed, other_key.public).order is None


def test_signed_by_another_in_the_name_of_the_publisher(signed: Path, key: Key, other_key: Key) -> None:
    fingerprints = []
    for signer in (key, other_key):
        sign(signed, signer)
        document = json.loads((signed / "model.sig").read_text(encoding="utf-8"))
        fingerprints.append(document["verificationMaterial"]["publicKey"]["hint"])
    text = (signed / "model.sig").read_text(encoding="utf-8")
    (signed / "model.sig").write_text(text.replace(fingerprints[1], fingerprints[0]), encoding="utf-8")
    assert "is forged or damaged" in refused(signed, key.public)


@pytest.mark.parametrize("name", ["config.json", "README.md", "onnx/model_quantized.onnx"])
def test_changed(signed: Path, key: Key, name: str) -> None:
    (signed / name).write_bytes(b"!" + (signed / name).read_bytes()[1:])
    assert f"{name!r} in {str(signed)!r} is damaged: SHA-256" in refused(signed, key.public)


def test_changed_together_with_the_manifest(signed: Path, key: Key) -> None:
    (signed / "config.json").write_bytes(CONFIG.replace(b"7", b"8"))
    record_again(signed)
    verify(signed)
    assert "'manifest.json' in" in (message := refused(signed, key.public))
    assert "is not the one that was signed: SHA-256 should be " in message


def test_changed_statement(signed: Path, key: Key) -> None:
    path = signed / "statement.intoto.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"order": 7', '"order": 8'), encoding="utf-8")
    assert "'statement.intoto.json' in" in refused(signed, key.public)


@pytest.mark.parametrize(
    "name", ["onnx/extra", "notes.txt", ".gitignore", ".DS_Store", ".cache/huggingface/x"]
)
def test_added(signed: Path, key: Key, name: str) -> None:
    (signed / name).parent.mkdir(parents=True, exist_ok=True)
    (signed / name).write_bytes(b"x")
    assert f"{name!r} was added to" in refused(signed, key.public)


def test_an_added_link_to_a_folder(signed: Path, key: Key, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (signed / "more").symlink_to(tmp_path / "elsewhere")
    assert "'more' was added to" in refused(signed, key.public)


@pytest.mark.parametrize("name", ["config.json", "README.md", "onnx/model.onnx", "statement.intoto.json"])
def test_removed(signed: Path, key: Key, name: str) -> None:
    (signed / name).unlink()
    assert f"{name!r} was signed, and is absent" in refused(signed, key.public)


def test_removed_with_its_record(signed: Path, key: Key) -> None:
    (signed / "README.md").unlink()
    record_again(signed)
    assert "'manifest.json'" in refused(signed, key.public)


def test_swapped_files(signed: Path, key: Key) -> None:
    one, other = signed / "onnx" / "model.onnx", signed / "onnx" / "model_quantized.onnx"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert "is damaged" in refused(signed, key.public)


@pytest.mark.parametrize("name", ["model.sig", "manifest.json", "statement.intoto.json"])
def test_swapped_with_that_of_another_release_of_the_publisher(
    signed: Path, key: Key, tmp_path: Path, name: str
) -> None:
    other = write_small_release(tmp_path / "other")
    (other / "config.json").write_bytes(CONFIG.replace(b"7", b"8"))
    record_again(other)
    sign(other, key, order=9)
    shutil.copyfile(other / name, signed / name)
    assert "is not the one that was signed" in refused(signed, key.public)


def test_a_file_that_is_signed_and_not_listed(signed: Path, key: Key) -> None:
    """OpenSSF's own tool signs whatever is in the folder."""
    from model_signing import hashing, signing

    (signed / "extra").write_bytes(b"x")
    everything = hashing.Config().set_ignored_paths(paths=["model.sig"], ignore_git_paths=False)
    config = signing.Config().use_elliptic_key_signer(private_key=key.private).set_hashing_config(everything)
    config.sign(signed, signed / "model.sig")
    assert "'extra' in" in (message := refused(signed, key.public))
    assert "was signed, but manifest.json does not list it" in message


def test_a_snapshot_of_the_hub_cache(signed: Path, key: Key, tmp_path: Path) -> None:
    blobs = tmp_path / "models--me--small" / "blobs"
    snapshot = blobs.parent / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in signed.rglob("*") if path.is_file())):
        link = snapshot / path.relative_to(signed)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, blobs / f"{number:040x}")
        link.symlink_to(os.path.relpath(blobs / f"{number:040x}", link.parent))
    assert verify_trusted(snapshot, key.public).order == 7


def test_the_manifest_that_is_expected(release: Path) -> None:
    expected = pin(release)
    assert distilforge.open(release, manifest_sha256=expected).manifest == verify(release)
    assert distilforge.open(release, manifest_sha256=expected.upper()).manifest == verify(release)
    (release / "vocab.txt").write_text("other\n", encoding="utf-8")
    record_again(release)
    with pytest.raises(ReleaseError, match=f"SHA-256 should be {expected}, found {pin(release)}"):
        distilforge.open(release, manifest_sha256=expected)


@pytest.mark.parametrize("value", ["", "0" * 63, "g" * 64, 7, b"0" * 64])
def test_a_digest_that_is_not_one(signed: Path, value: object) -> None:
    with pytest.raises(InputError, match="manifest_sha256 must be 64 hexadecimal digits, found"):
        read_trusted(signed, manifest_sha256=value)  # type: ignore[arg-type]


def test_an_old_release(release: Path, key: Key) -> None:
    for at_least in (7, 6, "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+01:00"):
        distilforge.open(release, trust=key.public, at_least=at_least)
    for at_least, problem in (
        (8, "its order is 7, and must be at least 8"),
        ("2026-01-01T00:00:01Z", "made at"),
    ):
        with pytest.raises(ReleaseError, match=f"too old: .*{problem}"):
            distilforge.open(release, trust=key.public, at_least=at_least)
    with pytest.raises(ReleaseError, match="too old"):
        distilforge.open(release, at_least="2027-01-01T00:00:00Z")


def test_no_order(signed: Path, key: Key) -> None:
    sign(signed, key)
    with pytest.raises(ReleaseError, match=r"signed without an order.*\n  hint: .*--order N"):
        read_trusted(signed, trust=key.public, at_least=1)


def test_an_order_that_nobody_signed(signed: Path) -> None:
    with pytest.raises(InputError, match="at_least=7 is an order, which only a signature can vouch for"):
        read_trusted(signed, at_least=7)


def test_a_pickled_session_asks_for_the_same(
    release: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(key.public.parent)
    session = distilforge.open(release, trust=key.public.name, manifest_sha256=pin(release), at_least=7)
    pickled = pickle.dumps(session)
    monkeypatch.chdir("/")
    assert pickle.loads(pickled)(["good movie"]) == session(["good movie"])
    sign(release, key, order=6)
    with pytest.raises(ReleaseError, match="its order is 6"):
        pickle.loads(pickled)


def test_without_cryptography(signed: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(
        UnavailableError, match=r"cryptography is not installed\n  hint: pip install 'distilforge\[trust"
    ):
        read_trusted(signed, trust=key.public)


def test_every_file_is_read_once(release: Path, key: Key) -> None:
    """Opening takes as long as hashing the release, and not twice as long."""
    opened: list[str] = []
    active = True

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if active and event == "open" and str(arguments[0]).startswith(str(release)):
            opened.append(Path(str(arguments[0])).relative_to(release).as_posix())

    # Python cannot remove an audit hook
    sys.addaudithook(note)
    verify_trusted(release, key.public)
    active = False
    files = [path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()]
    assert sorted(opened) == sorted(files)


def test_created_is_the_time_of_the_manifest(signed: Path) -> None:
    assert read_trusted(signed, at_least=CREATED).manifest.provenance.created == CREATED
