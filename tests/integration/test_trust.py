"""Signing, verifying and building again, as commands and applications do it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from distilforge import ReleaseError
from distilforge.release import read_manifest, verify
from distilforge.trust.opening import verify_trusted

from pipeline.build import build
from pipeline.recipe.recipe import Recipe
from pipeline.release.signing import Signer
from tests.integration.conftest import Listener, Release, prepare_export, run, write_recipe
from tests.signed_release import Key, write_chain, write_key

ReleaseOf = Callable[[str], Release]
HEAD = "sequence_classification"


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return write_key(tmp_path / "keys")


@pytest.fixture
def release(release_of: ReleaseOf, tmp_path: Path) -> Path:
    """A copy of a release, which a test may sign."""
    return Path(shutil.copytree(release_of(HEAD).folder, tmp_path / "release"))


def test_sign_and_verify(release: Path, key: Key, tmp_path: Path) -> None:
    assert run("sign", release, "--key", key.private, "--order", "3").strip() == str(release / "model.sig")
    printed = run("verify", release, "--key", key.public)
    assert "all as published, signed by the key " in printed
    assert distilforge.open(release, trust=key.public, at_least=3).labels
    digest = printed.rpartition("SHA-256 ")[2].strip()
    assert distilforge.open(release, manifest_sha256=digest).labels
    other = write_key(tmp_path / "other")
    assert "is by the key" in run("verify", release, "--key", other.public, code=4)
    (release / "onnx" / "model.onnx").write_bytes(b"x")
    run("verify", release, "--key", key.public, code=4)


def test_verify_an_unsigned_release(release: Path, key: Key) -> None:
    error = run("verify", release, "--key", key.public, code=4)
    assert "is not signed" in error
    assert "distilforge sign RELEASE --key KEY" in error


def test_a_key_that_cannot_sign_is_a_usage_error(release: Path, key: Key) -> None:
    assert "does not have a private key" in run("sign", release, "--key", key.public, code=2)
    assert "has a block 'PRIVATE KEY'" in run("verify", release, "--key", key.private, code=2)


def test_certificates(release: Path, tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain")
    run("sign", release, "--key", chain.private, "--certificate", chain.leaf, "--certificate", chain.issuer)
    assert "signed by CN=publisher" in run("verify", release, "--key", chain.root)
    assert distilforge.open(release, trust=chain.root).labels


def test_build_signs_before_anybody_sees_the_release(tiny: Recipe, tmp_path: Path, key: Key) -> None:
    prepare_export(tiny, tmp_path / "artifacts")
    recipe = write_recipe(tiny, tmp_path)
    common = ("build", recipe, "--artifacts", tmp_path / "artifacts", "--sign", key.private)
    folder = Path(run(*common, "--order", "1").strip())
    signature = (folder / "model.sig").read_bytes()
    trusted = verify_trusted(folder, key.public)
    assert trusted.order == 1
    payload = json.loads(signature)["dsseEnvelope"]["payload"]
    import base64

    assert json.loads(base64.b64decode(payload))["subject"][0]["name"] == folder.name
    # Nothing to do: the signature stays as it is
    run(*common, "--order", "1")
    assert (folder / "model.sig").read_bytes() == signature
    run(*common, "--order", "2")
    assert verify_trusted(folder, key.public).order == 2
    assert not list((tmp_path / "artifacts" / ".work" / "publish").glob("*.aside"))


def test_a_release_that_was_there_is_signed(release_of: ReleaseOf, tmp_path: Path, key: Key) -> None:
    built = release_of(HEAD)
    artifacts = Path(shutil.copytree(built.artifacts, tmp_path / "artifacts", symlinks=True))
    again = build(built.recipe, artifacts, Listener(), signer=Signer(key=key.private))
    assert not again.new
    verify_trusted(again.folder, key.public)
    unsigned = build(built.recipe, artifacts, Listener())
    assert not unsigned.new
    verify_trusted(unsigned.folder, key.public)


def test_a_bad_key_fails_before_the_build(tiny: Recipe, tmp_path: Path, key: Key) -> None:
    recipe = write_recipe(tiny, tmp_path)
    error = run("build", recipe, "--artifacts", tmp_path / "artifacts", "--sign", key.public, code=2)
    assert "does not have a private key" in error
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "x", "--order", "1"), "--order has no effect without a signature"),
        (("build", "x", "--certificate", "c.pem"), "--certificate has no effect without a signature"),
        (("export", "x", "--sign", "k.pem"), "`distilforge export` does not publish one"),
    ],
)
def test_options_without_a_signature(arguments: tuple[str, ...], message: str) -> None:
    assert message in run(*arguments, code=2)


def test_every_release_has_a_bill_of_materials(release_of: ReleaseOf) -> None:
    folder = release_of(HEAD).folder
    text = (folder / "sbom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert "sbom.cdx.json" in read_manifest(folder).files
    document = json.loads(text)
    model = document["metadata"]["component"]
    assert (model["name"], model["version"]) == (HEAD, folder.name)
    deployed = {entry["name"] for entry in document["components"] if entry["type"] == "file"}
    assert {"config.json", "onnx/model.onnx", "tokenizer.json"} <= deployed
    assert not deployed & {"README.md", "manifest.json", "validation/report.json"}


def test_the_same_release_has_the_same_bill_of_materials(release_of: ReleaseOf, tmp_path: Path) -> None:
    built = release_of(HEAD)
    prepare_export(built.recipe, tmp_path / "artifacts")
    again = build(built.recipe, tmp_path / "artifacts", Listener())
    assert again.folder.name == built.folder.name
    assert (again.folder / "sbom.cdx.json").read_bytes() == (built.folder / "sbom.cdx.json").read_bytes()


def test_the_licence_of_the_checkpoint(tiny: Recipe, tmp_path: Path) -> None:
    card = "---\nlicense: mit\ndatasets: [reviews]\n---\n# tiny\n"
    (Path(tiny.checkpoint) / "README.md").write_text(card, encoding="utf-8")
    prepare_export(tiny, tmp_path / "artifacts")
    folder = build(tiny, tmp_path / "artifacts", Listener()).folder
    document = json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert document["metadata"]["component"]["licenses"] == [{"expression": "MIT"}]
    assert "data:training:reviews" in {entry["bom-ref"] for entry in document["components"]}
    assert read_manifest(folder).provenance.data_sha256.keys() == {"evaluation"}


def test_rebuild_has_the_same_bytes(release_of: ReleaseOf, tmp_path: Path) -> None:
    built = release_of(HEAD)
    recipe = write_recipe(built.recipe, tmp_path)
    document = json.loads(run("rebuild", built.folder, "--recipe", recipe, "--json"))
    assert document["rebuilt_version"] == document["version"] == built.folder.name
    outcomes = {file["name"]: file["outcome"] for file in document["files"]}
    assert outcomes.keys() == read_manifest(built.folder).files.keys()
    assert {name for name, outcome in outcomes.items() if outcome == "not compared"} == {
        "README.md",
        "sbom.cdx.json",
        "validation/report.html",
        "validation/report.json",
    }
    assert set(outcomes.values()) == {"same", "not compared"}


def test_rebuild_names_the_files_that_differ(release_of: ReleaseOf, tmp_path: Path) -> None:
    built = release_of(HEAD)
    release = Path(shutil.copytree(built.folder, tmp_path / "release"))
    # The same graph with one more byte in its description
    manifest = read_manifest(release)
    from tests.runtime_release import record_files, write_manifest

    (release / "tokenizer.json").write_text((release / "tokenizer.json").read_text() + "\n")
    write_manifest(release, replace(manifest, files=record_files(release)))
    verify(release)
    recipe = write_recipe(built.recipe, tmp_path)
    assert "tokenizer.json" in (error := run("rebuild", release, "--recipe", recipe, code=5))
    assert "files of sequence_classification" in error


@pytest.mark.parametrize("changed", ["checkpoint", "recipe"])
def test_rebuild_refuses_what_the_release_was_not_built_from(
    release_of: ReleaseOf, tmp_path: Path, changed: str
) -> None:
    built = release_of(HEAD)
    recipe = built.recipe
    if changed == "checkpoint":
        checkpoint = Path(shutil.copytree(recipe.checkpoint, tmp_path / "checkpoint"))
        (checkpoint / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
        recipe = replace(recipe, checkpoint=str(checkpoint))
    else:
        data = tmp_path / "data.jsonl"
        assert recipe.evaluation is not None
        data.write_text(recipe.evaluation.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        recipe = replace(recipe, evaluation=data)
    error = run("rebuild", built.folder, "--recipe", write_recipe(recipe, tmp_path), code=2)
    assert "its digest should be" in error
    assert changed in error


def test_rebuild_needs_the_checkpoint_or_the_recipe(release_of: ReleaseOf) -> None:
    assert "give --recipe, or --checkpoint" in run("rebuild", release_of(HEAD).folder, code=2)


IMPORTS = (
    "import sys, distilforge; distilforge.open(sys.argv[1], **eval(sys.argv[2])); "
    "print([name for name in ('cryptography', 'distilforge.trust', 'cryptography.x509') if name in sys.modules])"
)


def test_only_those_who_ask_for_trust_wait_for_it(release: Path, key: Key) -> None:
    run("sign", release, "--key", key.private)

    def imported(arguments: dict[str, str]) -> str:
        command = [sys.executable, "-c", IMPORTS, str(release), repr(arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert imported({}) == "[]"
    assert imported({"at_least": "2020-01-01T00:00:00Z"}) == "['distilforge.trust']"
    # Certificates take longer to import than keys
    assert imported({"trust": str(key.public)}) == "['cryptography', 'distilforge.trust']"


def test_a_signed_release_survives_publishing_again(release_of: ReleaseOf, tmp_path: Path, key: Key) -> None:
    built = release_of(HEAD)
    artifacts = Path(shutil.copytree(built.artifacts, tmp_path / "artifacts", symlinks=True))
    folder = build(built.recipe, artifacts, Listener(), signer=Signer(key=key.private)).folder
    (folder / "README.md").write_text("changed", encoding="utf-8")
    with pytest.raises(ReleaseError):
        verify_trusted(folder, key.public)
    listener = Listener()
    repaired = build(built.recipe, artifacts, listener, signer=Signer(key=key.private))
    assert repaired.new
    verify_trusted(repaired.folder, key.public)
