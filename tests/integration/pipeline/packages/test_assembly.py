"""A package is whole or absent, describes itself, and is made of a verified release only."""

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from distilforge.errors import ReleaseError
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import StageError, UsageError
from pipeline.packages.assembly import testing
from pipeline.packages.base import PackageOptions
from pipeline.store import storage
from tests.integration.pipeline.packages.packaging import Notes, make, random_release
from tests.runtime_release import copied
from tests.signed_release import sign, write_key

HEAD = "sequence_classification"


def test_the_record_lists_every_file_and_the_readme_says_which_variant_and_why(tmp_path: Path) -> None:
    package = make("ovms", random_release(HEAD), tmp_path / "package")
    files = {
        path.relative_to(package.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in package.folder.rglob("*")
        if path.is_file()
    }
    files.pop("package-record.json")
    record = json.loads((package.folder / "package-record.json").read_text())
    assert {name: entry["sha256"] for name, entry in record["files"].items()} == files
    readme = (package.folder / "README.md").read_text()
    assert f"`onnxruntime-cpu:fp32`: {record['reason']}" in readme
    assert "not signed" in readme


def test_nothing_but_the_package_is_left(tmp_path: Path) -> None:
    make("ovms", random_release(HEAD), tmp_path / "packages" / "one")
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["one"]


def test_a_package_that_is_there_is_replaced_only_on_demand(tmp_path: Path) -> None:
    output = tmp_path / "package"
    make("ovms", random_release(HEAD), output)
    (output / "config.json").unlink()
    with pytest.raises(UsageError, match="exists") as refused:
        make("ovms", random_release(HEAD), output)
    assert "--replace" in refused.value.hint
    make("ovms", random_release(HEAD), output, replace=True)
    assert (output / "config.json").is_file()


def test_what_comes_to_the_place_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "package"
    synchronize = storage.synchronize

    def come(folder: Path) -> None:
        synchronize(folder)
        output.mkdir()
        (output / "thesis.txt").write_text("years of work")

    monkeypatch.setattr(storage, "synchronize", come)
    with pytest.raises(UsageError, match="exists and is not a package"):
        make("ovms", random_release(HEAD), output)
    assert (output / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_a_package_whose_successor_cannot_take_its_place_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "package"
    make("ovms", random_release(HEAD), output)

    def fail(staging: Path, final: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "commit", fail)
    with pytest.raises(UsageError, match="Input/output error"):
        make("ovms", random_release(HEAD), output, replace=True)
    assert (output / "package-record.json").is_file()


@pytest.mark.parametrize("kind", ["kserve", "mobile", "ovms", "triton", "wheel", "node"])
def test_a_self_test_finds_a_file_that_changed_that_is_missing_or_that_came(
    kind: str, tmp_path: Path
) -> None:
    if (tool := {"node": "node"}.get(kind)) and shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    package = make(kind, random_release(HEAD), tmp_path / "package")
    sizes = {path: path.stat().st_size for path in package.folder.rglob("*") if path.is_file()}
    largest = max(sizes, key=lambda path: sizes[path])
    name, content = largest.relative_to(package.folder).as_posix(), largest.read_bytes()
    middle = len(content) // 2
    largest.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(StageError, match=rf"exit code 1: {re.escape(name)} does not have the SHA-256"):
        testing.run(package.record, package.folder)
    largest.write_bytes(content)
    examples = (package.folder / "examples.json").read_bytes()
    (package.folder / "examples.json").unlink()
    with pytest.raises(StageError, match=r"exit code 1: examples\.json is missing"):
        testing.run(package.record, package.folder)
    (package.folder / "examples.json").write_bytes(examples)
    (package.folder / "models").mkdir(exist_ok=True)
    (package.folder / "models" / "other.onnx").write_bytes(b"another model")
    with pytest.raises(
        StageError, match=r"exit code 1: models/other\.onnx is not one of the package's files"
    ):
        testing.run(package.record, package.folder)
    (package.folder / "models" / "other.onnx").unlink()
    (package.folder / "models" / "linked").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(StageError, match=r"exit code 1: models/linked is not one of the package's files"):
        testing.run(package.record, package.folder)
    (package.folder / "models" / "linked").unlink()
    # What desktops, git and virtual environments leave
    (package.folder / ".venv" / "bin").mkdir(parents=True)
    (package.folder / ".venv" / "bin" / "activate").write_bytes(b"")
    (package.folder / ".DS_Store").write_bytes(b"")
    (package.folder / "package-record.json").write_text("[]")
    with pytest.raises(StageError, match=r"exit code 1: package-record\.json cannot be read"):
        testing.run(package.record, package.folder)


def test_another_package_is_not_replaced(tmp_path: Path) -> None:
    output = tmp_path / "package"
    make("ovms", random_release(HEAD), output)
    with pytest.raises(UsageError, match=r"is ovms of .*, and this is kserve of .*, so it is not replaced"):
        make("kserve", random_release(HEAD), output, replace=True)
    with pytest.raises(UsageError, match="so it is not replaced"):
        make("ovms", random_release("features"), output, replace=True)
    (output / "package-record.json").write_text("[]")
    with pytest.raises(UsageError, match="a damaged record"):
        make("ovms", random_release(HEAD), output, replace=True)


def test_leftovers_of_killed_commands_go_after_a_day(tmp_path: Path) -> None:
    old, new = (tmp_path / f".package.packaging-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    before = time.time() - 25 * 3600
    os.utime(old, (before, before))
    make("kserve", random_release(HEAD), tmp_path / "package")
    assert {path.name for path in tmp_path.iterdir()} == {new.name, "package"}


def test_a_package_does_not_go_into_the_release(tmp_path: Path) -> None:
    release = copied(HEAD, tmp_path / "release")
    with pytest.raises(UsageError, match="is inside the release"):
        make("kserve", release, release / "package")
    assert not (release / "package").exists()


def test_what_is_not_a_package_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is not a package"):
        make("ovms", random_release(HEAD), tmp_path, replace=True)
    assert (tmp_path / "thesis.txt").is_file()


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UsageError, match="the package at '/proc/nothing/package' cannot be written"):
        make("kserve", random_release(HEAD), Path("/proc/nothing/package"))


def test_a_damaged_release_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    release = copied(HEAD, tmp_path / "release")
    graph = release / "onnx" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"model\.onnx"):
        make("ovms", release, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_a_signed_release_brings_its_signature(tmp_path: Path) -> None:
    release, key = copied(HEAD, tmp_path / "release"), write_key(tmp_path / "keys")
    sign(release, key)
    package = make("ovms", release, tmp_path / "package", trust=key.public)
    assert (package.folder / "release" / "model.sig").read_bytes() == (release / "model.sig").read_bytes()
    assert (package.folder / "release" / "statement.intoto.json").is_file()
    assert package.record.signer
    notes = Notes()
    assert make("ovms", release, tmp_path / "again", notes=notes).record.signer == ""
    assert any("--key" in text for text in notes.texts)


def test_a_release_by_somebody_else_is_refused(tmp_path: Path) -> None:
    release, key = copied(HEAD, tmp_path / "release"), write_key(tmp_path / "keys")
    sign(release, key)
    with pytest.raises(ReleaseError):
        make("ovms", release, tmp_path / "package", trust=write_key(tmp_path / "others").public)


def test_an_option_that_the_kind_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--platform"):
        make("ovms", random_release(HEAD), tmp_path / "package", options=PackageOptions(platform="x86_64"))


def test_the_command_prints_the_folder_and_tests_it(tmp_path: Path) -> None:
    output = tmp_path / "package"
    arguments = ["package", str(random_release(HEAD)), "--for", "ovms", "--output", str(output), "--test"]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == f"{output}\n"
    assert "answered 2 examples as expected" in ran.stderr


def test_the_list_has_every_kind() -> None:
    assert "ovms" in CliRunner().invoke(app, ["list", "packages"]).stdout
