"""Publishing: all at once or not at all, and twice is once."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import (
    FileRecord,
    Manifest,
    Provenance,
    Span,
    Steadiness,
    Tensor,
    Variant,
    release_version,
)
from distilforge.release import resolve, verify

from pipeline.errors import UsageError
from pipeline.release.assemble import seal
from pipeline.release.publish import Publication, check_place, publish
from tests.runtime_release import PASSED
from tests.timings import BUSY, STEADY

CONTENT = "graph"
OTHER = "another graph"
CONFIG = '{"vocab_size": 10, "architectures": ["DistilBertModel"], "dim": 8}'
RECIPE = "1" * 64


def version_of(content: str) -> str:
    """The version of a release whose graph is `content`."""
    files = {"config.json": CONFIG, "onnx/model.onnx": content, "tokenizer.json": "{}"}
    records = {
        name: FileRecord(sha256=hashlib.sha256(text.encode()).hexdigest(), bytes=len(text))
        for name, text in files.items()
    }
    return release_version(records, RECIPE)


VERSION, OTHER_VERSION = version_of(CONTENT), version_of(OTHER)


class Listener:
    """Remembers notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def started(self, stage: str, doing: str) -> None: ...

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def manifest(*, version: str = VERSION, validated: bool = True) -> Manifest:
    return Manifest(
        name="demo",
        version=version,
        head="features",
        labels=(),
        problem_type=None,
        inputs=(Tensor(name="input_ids", dtype="int64", shape=("batch", "sequence")),),
        outputs=(Tensor(name="last_hidden_state", dtype="float32", shape=("batch", "sequence", 8)),),
        spans=dict.fromkeys(("batch", "sequence"), Span(low=1, usual=1, high=1)),
        variants=(
            Variant(
                target="onnxruntime-cpu",
                precision="fp32",
                files=("onnx/model.onnx",),
                validated=validated,
                verdicts=PASSED,
            ),
        ),
        files={},
        provenance=Provenance(
            checkpoint_sha256="0" * 64, recipe_sha256=RECIPE, git_commit="", tools={}, host="", created=""
        ),
    )


def write_release(folder: Path, content: str, made: Manifest) -> None:
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_text(content)
    (folder / "config.json").write_text(CONFIG)
    (folder / "tokenizer.json").write_text("{}")
    seal(made, folder)


def put(
    artifacts: Path,
    content: str = CONTENT,
    *,
    version: str | None = None,
    validated: bool = True,
    timing: Steadiness | None = None,
    listener: Listener | None = None,
) -> Publication:
    """Publish a release whose graph is `content`, with the version of that unless `version` gives another."""
    made = replace(manifest(version=version or version_of(content), validated=validated), timing=timing)
    return publish(
        manifest=made,
        compose=lambda folder: write_release(folder, content, made),
        artifacts=artifacts,
        work=artifacts / ".work" / "publish",
        listener=listener or Listener(),
    )


def edit_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_release_and_latest_are_there(tmp_path: Path) -> None:
    published = put(tmp_path)
    assert published == Publication(folder=tmp_path / "demo" / VERSION, new=True)
    assert verify(resolve(tmp_path / "demo")).version == VERSION
    assert (tmp_path / "demo" / "latest").readlink() == Path(VERSION)
    assert names(tmp_path / "demo") == {VERSION, "latest"}
    assert names(tmp_path / ".work" / "publish") == {"demo.lock"}


def test_publishing_the_same_again_writes_nothing(tmp_path: Path) -> None:
    put(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "demo").rglob("*")}
    assert not put(tmp_path, "composed again", version=VERSION).new
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "demo").rglob("*")} == before


def test_another_version_moves_latest_and_keeps_the_old_one(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, OTHER)
    assert names(tmp_path / "demo") == {VERSION, OTHER_VERSION, "latest"}
    assert resolve(tmp_path / "demo").name == OTHER_VERSION
    assert not put(tmp_path).new
    assert resolve(tmp_path / "demo").name == VERSION


@pytest.mark.parametrize(
    "damage", ["file", "manifest", "missing", "labels", "nothing listed", "digits", "unlisted"]
)
def test_a_damaged_release_is_replaced_with_a_note(damage: str, tmp_path: Path) -> None:
    folder = put(tmp_path).folder
    if damage == "file":
        (folder / "onnx" / "model.onnx").write_text("grapf")
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{")
    elif damage == "labels":
        edit_manifest(folder, labels=["x", "y"])
    elif damage == "nothing listed":
        edit_manifest(folder, files={})
    elif damage == "digits":
        (folder / "manifest.json").write_text(f'{{"schema": {"1" * 5000}}}')
    elif damage == "unlisted":
        (folder / "onnx" / "other.bin").write_text("x")
    else:
        (folder / "onnx" / "model.onnx").unlink()
    listener = Listener()
    assert put(tmp_path, listener=listener).new
    assert verify(folder).version == VERSION
    assert "is damaged and is replaced" in listener.notes[0]
    assert names(tmp_path / ".work" / "publish") == {"demo.lock"}


def test_a_validated_release_replaces_an_unvalidated_one_and_not_the_reverse(tmp_path: Path) -> None:
    folder = put(tmp_path, validated=False).folder
    assert not verify(folder).validated
    assert put(tmp_path).new
    assert verify(folder).validated
    assert not put(tmp_path, validated=False).new
    assert verify(folder).validated


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_publication_that_fails_leaves_the_old_release(error: BaseException, tmp_path: Path) -> None:
    put(tmp_path)

    def compose(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise error

    with pytest.raises(type(error)):
        publish(
            manifest=manifest(version=OTHER_VERSION),
            compose=compose,
            artifacts=tmp_path,
            work=tmp_path / ".work" / "publish",
            listener=Listener(),
        )
    assert names(tmp_path / "demo") == {VERSION, "latest"}
    assert names(tmp_path / ".work" / "publish") == {"demo.lock"}
    verify(resolve(tmp_path / "demo"))


def test_validated_counts_every_variant(tmp_path: Path) -> None:
    mixed = manifest()
    mixed = replace(
        mixed, variants=(*mixed.variants, replace(mixed.variants[0], precision="int8", validated=False))
    )
    assert not mixed.validated


def test_a_release_with_a_settled_speed_replaces_one_without(tmp_path: Path) -> None:
    assert put(tmp_path, timing=BUSY).new
    assert not put(tmp_path, timing=BUSY).new
    assert not put(tmp_path, timing=None).new
    settled = put(tmp_path, timing=STEADY)
    assert settled.new
    assert verify(settled.folder).timing == STEADY
    assert not put(tmp_path, timing=BUSY).new
    assert verify(settled.folder).timing == STEADY


def test_a_settled_speed_does_not_replace_a_validated_release(tmp_path: Path) -> None:
    kept = put(tmp_path, timing=BUSY)
    assert not put(tmp_path, validated=False, timing=STEADY).new
    assert verify(kept.folder).validated


@pytest.mark.parametrize("obstacle", ["file", "link to a damaged folder", "dangling link", "link aside"])
def test_nothing_in_the_way_of_a_version_stops_a_publication(obstacle: str, tmp_path: Path) -> None:
    folder = put(tmp_path).folder
    elsewhere = tmp_path / "elsewhere"
    if obstacle == "link to a damaged folder":
        folder.rename(elsewhere)
        (elsewhere / "onnx" / "model.onnx").write_text("grapf")
        folder.symlink_to(elsewhere)
    elif obstacle == "link aside":
        shutil.rmtree(folder)
        for name in ("demo.aside", "demo.old"):
            (tmp_path / ".work" / "publish" / name).symlink_to(tmp_path / "nowhere")
    else:
        shutil.rmtree(folder)
        folder.write_text("x") if obstacle == "file" else folder.symlink_to(tmp_path / "nowhere")
    assert put(tmp_path).new
    assert verify(folder).version == VERSION
    assert not folder.is_symlink()
    assert names(tmp_path / ".work" / "publish") == {"demo.lock"}
    # What a link leads to belongs to somebody else
    assert elsewhere.exists() == (obstacle == "link to a damaged folder")


@pytest.mark.parametrize("keep_version", [True, False])
def test_a_copy_in_the_place_of_latest_becomes_a_link(keep_version: bool, tmp_path: Path) -> None:
    """`cp -rL`, zip and CI artifacts make a folder of the link; some leave the version out."""
    folder = put(tmp_path).folder
    latest = tmp_path / "demo" / "latest"
    latest.unlink()
    shutil.copytree(folder, latest)
    if not keep_version:
        shutil.rmtree(folder)
    put(tmp_path, OTHER)
    assert latest.readlink() == Path(OTHER_VERSION)
    assert names(tmp_path / "demo") == {VERSION, OTHER_VERSION, "latest"}
    assert verify(folder).version == VERSION
    assert names(tmp_path / ".work" / "publish") == {"demo.lock"}


def test_a_latest_that_is_a_file_becomes_a_link(tmp_path: Path) -> None:
    """Archives without links have a file with the link's text."""
    put(tmp_path)
    latest = tmp_path / "demo" / "latest"
    latest.unlink()
    latest.write_text(VERSION)
    assert not put(tmp_path).new
    assert latest.readlink() == Path(VERSION)


def test_another_folder_in_the_place_of_latest_is_an_error_and_stays(tmp_path: Path) -> None:
    other = tmp_path / "demo" / "latest" / "notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("somebody's")
    with pytest.raises(UsageError, match=r"latest must be a link; it is a folder(?s:.*)hint: move it away"):
        put(tmp_path)
    assert names(tmp_path / "demo") == {"latest"}
    assert other.read_text() == "somebody's"


@pytest.mark.parametrize("obstacle", ["file", "dangling link"])
def test_a_name_that_is_taken_is_an_error(obstacle: str, tmp_path: Path) -> None:
    place = tmp_path / "demo"
    place.write_text("x") if obstacle == "file" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"demo is a .*(?s:.*)hint: "):
        check_place(tmp_path, "demo")


def test_latest_stays_at_a_validated_release(tmp_path: Path) -> None:
    put(tmp_path)
    listener = Listener()
    rejected = put(tmp_path, OTHER, validated=False, listener=listener)
    assert rejected.new
    assert resolve(tmp_path / "demo").name == VERSION
    assert listener.notes == [f"latest stays at {VERSION}, which is validated; {OTHER_VERSION} is not"]


def test_latest_moves_to_an_unvalidated_release_if_there_is_nothing_better(tmp_path: Path) -> None:
    put(tmp_path, validated=False)
    put(tmp_path, OTHER, validated=False)
    assert resolve(tmp_path / "demo").name == OTHER_VERSION


@pytest.fixture
def other_file_system() -> Iterator[Path]:
    """A folder in memory, where files on a disk cannot be renamed to."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        pytest.skip("there is no writable /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("elsewhere", ["work", "release"])
def test_the_work_folder_may_be_on_another_file_system(
    elsewhere: str, other_file_system: Path, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    linked = artifacts / {"work": ".work", "release": "demo"}[elsewhere]
    linked.symlink_to(other_file_system)
    assert put(artifacts).new
    assert not put(artifacts).new
    put(artifacts, OTHER)
    assert verify(resolve(artifacts / "demo")).version == OTHER_VERSION
    assert names(artifacts / "demo") == {VERSION, OTHER_VERSION, "latest"}
    (artifacts / "demo" / VERSION / "manifest.json").unlink()
    assert put(artifacts).new
    assert names(artifacts / "demo") == {VERSION, OTHER_VERSION, "latest"}
    assert [name for name in names(artifacts / ".work" / "publish") if not name.endswith(".lock")] == []
