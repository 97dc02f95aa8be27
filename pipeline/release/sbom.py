"""The bill of materials of a release: CycloneDX 1.6 with the model card, the data sets and the licences.

Source: https://cyclonedx.org/docs/1.6/json/. The library cyclonedx-python-lib cannot write model cards, so that this is
plain JSON; the tests hold it against the official schema. It has no date, no host and no times, so that the same
release has the same bytes wherever it is built.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence

from distilforge.manifest import Manifest
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipeline.release.checkpoint_card import CheckpointCard

SBOM = "sbom.cdx.json"
"""Name of the file in a release."""
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_MODEL = "model"
_ADDRESS = re.compile(r"https?://[^\s<>\"{}|\\^`]+")
_PURPOSES = {
    "evaluation": "the texts that validation compares with eager PyTorch",
    "calibration": "the texts that activations are measured on for reduced precision",
}


def render(manifest: Manifest, architecture: str, card: CheckpointCard) -> str:
    """The text of sbom.cdx.json for the release of `manifest`.

    `manifest` lists the deployed files. `architecture` is the head's class in transformers, and `card` is what the
    checkpoint says about itself.
    """
    data = _data_sets(manifest, card)
    files: list[dict[str, object]] = [
        {
            "type": "file",
            "bom-ref": f"file:{name}",
            "name": name,
            "hashes": [_hash(record.sha256)],
        }
        for name, record in sorted(manifest.files.items())
    ]
    model = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": manifest.name,
        "version": manifest.version,
        "description": f"A DistilBERT with the head {manifest.head}, exported and validated by distilforge",
        **_licenses(card),
        "pedigree": {
            "ancestors": [
                {"type": "machine-learning-model", "name": name}
                for name in (*card.base_models, f"checkpoint {manifest.provenance.checkpoint_sha256}")
            ]
        },
        "modelCard": _model_card(manifest, architecture, [str(entry["bom-ref"]) for entry in data]),
        "properties": [
            _property("distilforge:recipe_sha256", manifest.provenance.recipe_sha256),
            _property("distilforge:checkpoint_sha256", manifest.provenance.checkpoint_sha256),
            *(() if card.licenses else (_property("distilforge:licence", "the checkpoint does not say"),)),
        ],
    }
    tools = [
        {
            "type": "library",
            "bom-ref": f"tool:{name}",
            "name": name,
            "version": version,
            **({} if name == "python" else {"purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"}),
        }
        for name, version in sorted(manifest.provenance.tools.items())
    ]
    references = [str(entry["bom-ref"]) for entry in (*files, *data)]
    document = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"distilforge:{manifest.name}:{manifest.version}").urn,
        "version": 1,
        "metadata": {"tools": {"components": tools}, "component": model},
        "components": [*files, *data],
        "dependencies": [{"ref": _MODEL, "dependsOn": references}],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _model_card(manifest: Manifest, architecture: str, data: Sequence[str]) -> dict[str, object]:
    return {
        "modelParameters": {
            "task": manifest.head,
            "architectureFamily": "transformer",
            "modelArchitecture": architecture,
            "datasets": [{"ref": reference} for reference in data],
            "inputs": [{"format": f"{tensor.dtype} {tensor.name}"} for tensor in manifest.inputs],
            "outputs": [{"format": f"{tensor.dtype} {tensor.name}"} for tensor in manifest.outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": metric.name, "value": f"{value:.6g}", "slice": subject}
                for variant in manifest.variants
                for metric in variant.metrics
                for subject, value in (
                    (variant.name, metric.variant),
                    (f"eager PyTorch beside {variant.name}", metric.eager),
                )
            ]
        },
        "considerations": {
            "technicalLimitations": [
                f"{axis}: {span.low} to {span.high}" for axis, span in sorted(manifest.spans.items())
            ]
        },
        "properties": [
            *(_property("distilforge:label", label) for label in manifest.labels),
            *(
                _property(f"distilforge:validated:{variant.name}", "yes" if variant.validated else "no")
                for variant in manifest.variants
            ),
        ],
    }


def _data_sets(manifest: Manifest, card: CheckpointCard) -> list[dict[str, object]]:
    measured: list[dict[str, object]] = [
        {
            "type": "data",
            "bom-ref": f"data:{purpose}",
            "name": f"{purpose} data",
            "hashes": [_hash(sha256)],
            "data": [{"type": "dataset", "description": _PURPOSES.get(purpose, purpose)}],
        }
        for purpose, sha256 in sorted(manifest.provenance.data_sha256.items())
    ]
    trained: list[dict[str, object]] = [
        {
            "type": "data",
            "bom-ref": f"data:training:{name}",
            "name": name,
            "data": [{"type": "dataset", "description": "the checkpoint names it as training data"}],
        }
        for name in dict.fromkeys(card.datasets)
    ]
    return measured + trained


def _licenses(card: CheckpointCard) -> Mapping[str, object]:
    """The member `licenses`, or nothing where the checkpoint does not say."""
    if not card.licenses:
        return {}
    if len(card.licenses) == 1:
        try:
            return {"licenses": [{"expression": canonicalize_license_expression(card.licenses[0])}]}
        except InvalidLicenseExpression:
            pass  # a licence that SPDX does not know has only a name
    link = {"url": card.license_link} if _ADDRESS.fullmatch(card.license_link) else {}
    return {"licenses": [{"license": {"name": name, **link}} for name in dict.fromkeys(card.licenses)]}


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}
