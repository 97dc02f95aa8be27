"""A release that differs from its manifest is refused with the file, the expected value and the actual one."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge import limits
from distilforge.errors import InputError, ReleaseError
from distilforge.release import resolve, verify

from tests.runtime_release import GRAPH, copied, read_manifest, record_again, write_manifest

Change = Callable[[dict[str, object]], None]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return copied("sequence_classification", tmp_path / "sentiment" / "v1")


def change_manifest(release: Path, change: Change) -> None:
    path = release / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def rename_file(release: Path, old: str, new: str) -> None:
    """List the file under another path, in the files and in the variants."""
    text = (release / "manifest.json").read_text(encoding="utf-8")
    (release / "manifest.json").write_text(text.replace(json.dumps(old), json.dumps(new)), encoding="utf-8")


def refused(release: Path) -> str:
    """The message of `verify` and of `open`, which must be the same."""
    with pytest.raises(ReleaseError) as verified:
        verify(release)
    with pytest.raises(ReleaseError) as opened:
        distilforge.open(release)
    assert str(verified.value) == str(opened.value)
    return str(verified.value)


def test_a_sound_release_verifies(release: Path) -> None:
    assert verify(release) == read_manifest(release)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no release at .*absent.*\n  hint: .*distilforge build"):
        resolve(tmp_path / "absent")


def test_a_file_is_not_called_an_absent_folder(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(
        ReleaseError, match=r"no release at .*README.md': it is a file\n  hint: pass artifacts/"
    ):
        resolve(tmp_path / "README.md")


def test_a_checkpoint_must_be_built_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(
        ReleaseError, match=r"is not a release: .*\n  hint: it looks like a checkpoint, .*build"
    ):
        resolve(tmp_path)


def test_a_folder_without_any_release_says_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"is not a release: .*\n  hint: pass artifacts/<name>"):
        resolve(tmp_path)


@pytest.mark.parametrize("url", ["s3://models/sentiment", Path("s3://models/sentiment")])
def test_a_url_is_told_to_be_pulled_first(url: str | Path) -> None:
    with pytest.raises(ReleaseError, match=r"it is a URL.*\n.*pull URL --output FOLDER"):
        resolve(url)


def test_a_folder_without_a_release_names_those_below(release: Path) -> None:
    with pytest.raises(ReleaseError, match=r"neither manifest\.json nor latest\n  hint: .*v1"):
        resolve(release.parent)


def test_latest_is_followed_once(release: Path) -> None:
    (release.parent / "latest").symlink_to("v1")
    assert resolve(release.parent) == release
    assert distilforge.open(release.parent).manifest == read_manifest(release)


def test_latest_that_points_to_nothing(release: Path) -> None:
    (release.parent / "latest").symlink_to("v2")
    with pytest.raises(ReleaseError, match=r"latest' names 'v2'.*\n  hint: .*v1"):
        resolve(release.parent)


def test_manifest_cut_short(release: Path) -> None:
    path = release / "manifest.json"
    path.write_bytes(path.read_bytes()[:200])
    assert "manifest.json is not valid JSON" in refused(release)


def test_manifest_nested_too_deep(release: Path) -> None:
    (release / "manifest.json").write_text("[" * 100_000, encoding="utf-8")
    assert "manifest.json is not valid JSON" in refused(release)


def test_manifest_not_utf8(release: Path) -> None:
    (release / "manifest.json").write_bytes(b"\xff\xfe{}")
    assert "cannot be read" in refused(release)


def test_newer_schema(release: Path) -> None:
    change_manifest(release, lambda document: document.update(schema=2))
    assert "has schema 2; this distilforge reads schemas up to 1\n  hint: pip install --upgrade" in refused(
        release
    )


@pytest.mark.parametrize("name", [GRAPH, "tokenizer.json", "vocab.txt"])
def test_absent_file(release: Path, name: str) -> None:
    (release / name).unlink()
    assert f"{name!r} is absent" in refused(release)


@pytest.mark.parametrize("name", [GRAPH, "tokenizer.json"])
def test_file_cut_short(release: Path, name: str) -> None:
    size = (release / name).stat().st_size
    os.truncate(release / name, size - 1)
    assert f"{name!r}" in refused(release)
    assert f"it should have {size} bytes, found {size - 1}" in refused(release)


@pytest.mark.parametrize("name", [GRAPH, "config.json"])
def test_one_bit_changed(release: Path, name: str) -> None:
    expected = read_manifest(release).files[name].sha256
    content = bytearray((release / name).read_bytes())
    content[len(content) // 2] ^= 1
    (release / name).write_bytes(content)
    assert f"{name!r}" in refused(release)
    assert f"SHA-256 should be {expected}, found " in refused(release)


@pytest.mark.parametrize(
    "path",
    [
        "../outside/model.onnx",
        "onnx/../../outside/model.onnx",
        "/etc/passwd",
        "onnx//model.onnx",
        "./onnx/model.onnx",
        "onnx\\model.onnx",
        "C:/model.onnx",
        "",
        "onnx/model.onnx\0",
    ],
)
def test_a_path_that_is_not_inside_the_release(release: Path, path: str) -> None:
    rename_file(release, GRAPH, path)
    assert f"lists the path {path!r}" in refused(release)


@pytest.mark.parametrize("linked", [GRAPH, "onnx"])
def test_a_link_that_leaves_the_folder(release: Path, linked: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(release / linked, outside)
    (release / linked).symlink_to(outside)
    assert f"{GRAPH!r} leaves the release folder: it leads to {str(outside)!r}"[:60] in refused(release)


def test_link_inside_the_folder_is_followed(release: Path) -> None:
    shutil.move(release / GRAPH, release / "graph.onnx")
    (release / GRAPH).symlink_to("../graph.onnx")
    record_again(release)
    assert verify(release).files[GRAPH] == verify(release).files["graph.onnx"]


def test_a_snapshot_of_the_hub_cache_opens(release: Path, tmp_path: Path) -> None:
    blobs = tmp_path / "models--me--sentiment" / "blobs"
    snapshot = blobs.parent / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in release.rglob("*") if path.is_file())):
        link = snapshot / path.relative_to(release)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, blobs / f"{number:040x}")
        link.symlink_to(os.path.relpath(blobs / f"{number:040x}", link.parent))
    assert verify(snapshot) == distilforge.open(snapshot).manifest
    (snapshot / GRAPH).resolve().write_bytes(b"x")
    assert "is damaged" in refused(snapshot)


def test_links_beside_the_blobs_of_the_hub_cache_are_refused(release: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--me--sentiment" / "snapshots" / "0123abcd"
    snapshot.parent.mkdir(parents=True)
    shutil.move(release, snapshot)
    shutil.move(snapshot / GRAPH, snapshot.parent.parent / "model.onnx")
    (snapshot / GRAPH).symlink_to("../../../model.onnx")
    assert f"{GRAPH!r} leaves the release folder" in refused(snapshot)


def test_a_kubernetes_volume_opens(release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    shutil.move(release, volume / "..2026_01_01")
    (volume / "..data").symlink_to("..2026_01_01")
    for path in (volume / "..data").iterdir():
        (volume / path.name).symlink_to(f"..data/{path.name}")
    assert resolve(volume) == volume / "..2026_01_01"
    distilforge.open(volume)
    assert not caplog.records


@pytest.mark.parametrize(
    "stray",
    [
        ".DS_Store",
        "onnx/.DS_Store",
        "onnx/._model.onnx",
        "onnx/.nfs000000000001",
        "onnx/.fuse_hidden0000000100000001",
        "onnx/.smbdeleteAAA0000001",
        "onnx/@eaDir/model.onnx@SynoEAStream",
        "onnx/.snapshot/hourly.0/model.onnx",
        "onnx/.AppleDouble/model.onnx",
        "onnx/.ipynb_checkpoints/model-checkpoint.onnx",
        "onnx/.directory",
        "onnx/model.onnx:Zone.Identifier",
        "Thumbs.db",
        ".cache/huggingface/download/config.json.metadata",
        "lost+found/#1234",
    ],
)
def test_a_stray_file_is_ignored(release: Path, stray: str, caplog: pytest.LogCaptureFixture) -> None:
    (release / stray).parent.mkdir(parents=True, exist_ok=True)
    (release / stray).write_bytes(b"x")
    verify(release)
    distilforge.open(release)
    assert not caplog.records


def test_another_name_for_a_listed_file_is_not_called_unused(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.move(release / "onnx", release / "graphs")
    (release / "onnx").symlink_to("graphs")
    distilforge.open(release)
    assert not caplog.records


def test_a_link_that_leads_to_itself_is_reported(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    (release / "loop").symlink_to("loop")
    verify(release)
    assert "loop" in caplog.text


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
)
def test_a_file_that_is_read_and_not_listed(release: Path, name: str) -> None:
    manifest = read_manifest(release)
    files = {listed: record for listed, record in manifest.files.items() if listed != name}
    write_manifest(release, replace(manifest, files=files))
    assert f"{name!r}" in refused(release)
    (release / name).unlink()
    if name in ("config.json", "tokenizer.json"):
        assert f"does not list {name!r}, which every release has" in refused(release)
    else:
        distilforge.open(release)


def test_a_manifest_of_many_bytes(release: Path) -> None:
    path = release / "manifest.json"
    with path.open("a", encoding="utf-8") as file:
        file.write(" " * (limits.MOST_MANIFEST_BYTES - path.stat().st_size))
    verify(release)
    with path.open("a", encoding="utf-8") as file:
        file.write(" ")
    assert "has more than 16,777,216 bytes" in refused(release)


@pytest.mark.parametrize(
    ("name", "most_bytes"),
    [
        ("config.json", limits.MOST_SETTINGS_BYTES),
        ("tokenizer_config.json", limits.MOST_SETTINGS_BYTES),
        ("tokenizer.json", limits.MOST_TOKENIZER_BYTES),
    ],
)
def test_a_file_of_too_many_bytes(release: Path, name: str, most_bytes: int) -> None:
    with (release / name).open("r+b") as file:
        file.truncate(most_bytes + 1)
    record_again(release)
    assert f"{name}' has more than {most_bytes:,} bytes" in refused(release)


def test_a_folder_of_too_many_files(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distilforge.release.MOST_FOLDER_ENTRIES", 50)
    (release / "many").mkdir()
    for number in range(50):
        (release / "many" / str(number)).touch()
    assert "has more than 50 files and folders" in refused(release)


def test_a_manifest_that_is_a_link_out_of_the_release(release: Path, tmp_path: Path) -> None:
    shutil.move(release / "manifest.json", tmp_path / "elsewhere.json")
    (release / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    assert "'manifest.json' leaves the release folder" in refused(release)


@pytest.mark.parametrize("name", ["loop", "..data"])
def test_links_that_lead_to_themselves(release: Path, name: str) -> None:
    (release / name).symlink_to(name)
    verify(release)
    manifest = read_manifest(release)
    files = {**manifest.files, name: manifest.files["config.json"]}
    write_manifest(release, replace(manifest, files=files))
    assert f"{name!r} is absent" in refused(release)


@pytest.mark.parametrize("value", [None, 3, b"release", ["release"]])
def test_what_is_not_a_path(value: object) -> None:
    with pytest.raises(InputError, match="a release must be the path of a folder, found"):
        distilforge.open(value)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 3000, "a\0b", "\ud800"])
def test_a_path_that_cannot_be(name: str) -> None:
    with pytest.raises(ReleaseError):
        distilforge.open(name)


def test_unlisted_file_beside_the_engine(release: Path) -> None:
    (release / "onnx" / "model.onnx.data").write_bytes(b"weights")
    assert "'onnx/model.onnx.data'" in refused(release)
    record_again(release)
    verify(release)


@pytest.mark.parametrize("place", ["onnx/more/weights", "onnx/.hidden"])
def test_unlisted_file_below_the_engine(release: Path, place: str) -> None:
    (release / place).parent.mkdir(exist_ok=True)
    (release / place).write_bytes(b"weights")
    assert f"{place!r}" in refused(release)


def test_unlisted_file_in_a_linked_folder(release: Path) -> None:
    shutil.move(release / "onnx", release / "graphs")
    (release / "onnx").symlink_to("graphs")
    distilforge.open(release)
    (release / "graphs" / "weights").write_bytes(b"weights")
    assert "'onnx/weights'" in refused(release)


def test_unlisted_file_elsewhere_is_only_reported(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    (release / "notes.txt").write_text("mine", encoding="utf-8")
    verify(release)
    assert "notes.txt" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document["variants"].clear(), "it has no variants"),
        (lambda document: document["variants"].append(document["variants"][0]), "is there 2 times"),
        (
            lambda document: document["variants"][0]["files"].append("onnx/other"),
            "'onnx/other' of the variant",
        ),
        (lambda document: document["variants"][0]["files"].clear(), "has no files"),
        (lambda document: document["spans"]["batch"].update(usual=99), "the span of 'batch' is 1, 99, 8"),
        (
            lambda document: document["spans"].pop("batch"),
            "the axis 'batch' of the input 'input_ids' has no span",
        ),
        (lambda document: document["files"][GRAPH].update(sha256="A" * 64), f"the record of {GRAPH!r}"),
        (
            lambda document: document["files"][GRAPH].update(bytes="7"),
            "bytes must be a whole number, found '7'",
        ),
        (lambda document: document.pop("inputs"), "lacks the field 'inputs'"),
        (lambda document: document.update(head="summarization"), "does not know that head"),
    ],
)
def test_manifest_that_contradicts_itself(release: Path, change: Change, message: str) -> None:
    change_manifest(release, change)
    with pytest.raises(ReleaseError, match=message):
        distilforge.open(release)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'{"model": {}}'])
def test_a_tokenizer_that_cannot_be_read(release: Path, content: bytes) -> None:
    (release / "tokenizer.json").write_bytes(content)
    record_again(release)
    with pytest.raises(ReleaseError, match="is not a tokenizer"):
        distilforge.open(release)


def test_a_graph_that_does_not_load(release: Path) -> None:
    (release / GRAPH).write_bytes(b"not a graph")
    record_again(release)
    with pytest.raises(ReleaseError, match=r"'onnx/model\.onnx' is not a readable ONNX file"):
        distilforge.open(release)
