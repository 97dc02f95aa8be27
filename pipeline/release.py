"""A release folder: the validated candidate with its report, its model card and the digest of every file."""

from dataclasses import replace
from pathlib import Path

from distilforge.manifest import Manifest, Provenance
from distilforge.release import MANIFEST

from pipeline import assemble, model_card, storage
from pipeline.stages import REPORT
from validation import html
from validation.report import Report

CARD = "README.md"


def compose(*, candidate: Path, validated: Path, provenance: Provenance, folder: Path) -> Manifest:
    """Fill the empty `folder` with the release that the stage folders `candidate` and `validated` make up."""
    judged = assemble.read_manifest(validated)
    storage.copy(candidate, folder, leaving=MANIFEST)
    for file in assemble.read_manifest(candidate).files.keys() - judged.files.keys():
        (folder / file).unlink()  # a variant that was withheld
    report = Report.from_json((validated / REPORT).read_text(encoding="utf-8"))
    manifest = replace(judged, provenance=provenance)
    html.write(report, manifest, folder / "validation")
    (folder / CARD).write_text(model_card.render(manifest, assemble.architecture(folder)), encoding="utf-8")
    return assemble.seal(manifest, folder)
