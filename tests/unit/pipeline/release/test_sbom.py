"""The bill of materials, held against CycloneDX's official schema, strictly."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from distilforge.manifest import Manifest, Metric, Withheld

from pipeline.release import sbom
from pipeline.release.checkpoint_card import CheckpointCard
from tests.runtime_release import read_manifest
from tests.signed_release import write_small_release

ARCHITECTURE = "DistilBertModel"
CARD = CheckpointCard(licenses=("apache-2.0",), datasets=("glue", "glue"), base_models=("distilbert-base",))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    manifest = read_manifest(write_small_release(tmp_path / "small"))
    first, second = manifest.variants
    metrics = (Metric(name="accuracy", eager=0.9, variant=2 / 3, examples=1500),)
    return replace(
        manifest,
        labels=("good", "bad :100: \x1b[31m"),
        variants=(replace(first, metrics=metrics), second),
        withheld=(Withheld(name="onnxruntime-cpu:fp16", reason="it is slower"),),
    )


def validated(manifest: Manifest, card: CheckpointCard = CARD) -> dict[str, object]:
    """The bill of materials, which fits the schema."""
    text = sbom.render(manifest, ARCHITECTURE, card)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def test_the_schema_is_strict(manifest: Manifest) -> None:
    text = sbom.render(manifest, ARCHITECTURE, CARD)
    for before, after in (('"bomFormat"', '"bomFormats"'), ('"SHA-256"', '"SHA256"'), ('"slice"', '"part"')):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace(before, after)) is not None


def test_the_model_card(manifest: Manifest) -> None:
    model = validated(manifest)["metadata"]["component"]  # type: ignore[index]
    assert (model["type"], model["name"], model["version"]) == (
        "machine-learning-model",
        "small",
        manifest.version,
    )
    parameters = model["modelCard"]["modelParameters"]
    assert (parameters["task"], parameters["modelArchitecture"]) == ("features", ARCHITECTURE)
    assert parameters["datasets"] == [{"ref": "data:evaluation"}, {"ref": "data:training:glue"}]
    assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "accuracy", "value": "0.666667", "slice": "onnxruntime-cpu:fp32"},
        {"type": "accuracy", "value": "0.9", "slice": "eager PyTorch beside onnxruntime-cpu:fp32"},
    ]
    assert model["pedigree"]["ancestors"][0]["name"] == "distilbert-base"


def test_every_file_and_data_set_with_its_digest(manifest: Manifest) -> None:
    document = validated(manifest)
    hashes = {
        entry["bom-ref"]: entry["hashes"][0]["content"]
        for entry in document["components"]  # type: ignore[attr-defined]
        if "hashes" in entry
    }
    expected = {f"file:{name}": record.sha256 for name, record in manifest.files.items()}
    assert hashes == expected | {"data:evaluation": "3" * 64}
    (dependency,) = document["dependencies"]  # type: ignore[misc]
    assert set(dependency["dependsOn"]) == {entry["bom-ref"] for entry in document["components"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("card", "licenses"),
    [
        (CARD, [{"expression": "Apache-2.0"}]),
        (CheckpointCard(licenses=("cc-by-sa-4.0",)), [{"expression": "CC-BY-SA-4.0"}]),
        (CheckpointCard(licenses=("other",)), [{"license": {"name": "other"}}]),
        (
            CheckpointCard(licenses=("house",), license_link="https://example.com/l"),
            [{"license": {"name": "house", "url": "https://example.com/l"}}],
        ),
        (
            CheckpointCard(licenses=("house",), license_link="javascript:alert(1)"),
            [{"license": {"name": "house"}}],
        ),
        (
            CheckpointCard(licenses=("mit", "apache-2.0", "mit")),
            [{"license": {"name": "mit"}}, {"license": {"name": "apache-2.0"}}],
        ),
        (CheckpointCard(licenses=("(" * 500,)), [{"license": {"name": "(" * 500}}]),
        (CheckpointCard(), None),
    ],
)
def test_licences(manifest: Manifest, card: CheckpointCard, licenses: object) -> None:
    model = validated(manifest, card)["metadata"]["component"]  # type: ignore[index]
    assert model.get("licenses") == licenses
    unstated = {"name": "distilforge:licence", "value": "the checkpoint does not say"}
    assert (unstated in model["properties"]) == (licenses is None)


def test_times_places_and_speeds_do_not_change_it(manifest: Manifest) -> None:
    provenance = replace(
        manifest.provenance, created="2027-01-01T00:00:00+00:00", host="another", git_commit="4" * 40
    )
    other = replace(manifest, provenance=provenance, timing=None)
    assert sbom.render(other, ARCHITECTURE, CARD) == sbom.render(manifest, ARCHITECTURE, CARD)
