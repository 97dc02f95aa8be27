"""Composes a release: the validated candidate with its report, its cards and the digest of every file."""

from dataclasses import replace
from pathlib import Path

from distilforge.manifest import Manifest, Provenance
from distilforge.release import MANIFEST

from pipeline.release import assemble, model_card, sbom
from pipeline.release.checkpoint_card import CheckpointCard
from pipeline.store import storage
from validation.reports import html
from validation.reports.report import Report

CARD = "README.md"


def compose(
    *,
    candidate: Path,
    judged: Manifest,
    report: Report,
    provenance: Provenance,
    card: CheckpointCard,
    folder: Path,
) -> Manifest:
    """Fill the empty `folder` with a release and return its manifest.

    `candidate` is the stage's folder, and `judged` its manifest after validation, which may withhold variants. `card`
    is what the checkpoint says about itself.
    """
    storage.copy_tree(candidate, folder, except_name=MANIFEST)
    for file in assemble.read_manifest(candidate).files.keys() - judged.files.keys():
        (folder / file).unlink()  # it belongs to a variant that was withheld
    manifest = replace(judged, provenance=provenance)
    html.write(report, manifest, folder / "validation")
    architecture = assemble.architecture(folder)
    (folder / CARD).write_text(model_card.render(manifest, architecture), encoding="utf-8")
    (folder / sbom.SBOM).write_text(sbom.render(manifest, architecture, card), encoding="utf-8")
    return assemble.seal(manifest, folder)
