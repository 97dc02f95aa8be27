"""Publish: the validated candidate becomes a version in the artifacts folder."""

import time
from collections.abc import Mapping
from pathlib import Path

from distilforge.manifest import Manifest

from pipeline import targets
from pipeline.errors import in_stage
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble, signing
from pipeline.release.publish import Publication
from pipeline.release.publish import publish as publish_release
from pipeline.stages.data import data_files
from pipeline.stages.load import Source
from pipeline.stages.validate import REPORT
from pipeline.store import digests
from pipeline.store.work import ProgressListener, Stage


def publish(
    artifacts: Path,
    work: Path,
    recipe: Recipe,
    source: Source,
    candidate: Stage,
    validated: Stage,
    manifest: Manifest,
    listener: ProgressListener,
    signer: signing.Signer | None,
) -> Publication:
    """Publish the release that `manifest` describes below `artifacts`; `work` is a folder for what nobody sees yet.

    With `signer`, a new release is signed before anybody sees it, and one that was there before is signed if it is not
    signed by `signer` yet.
    """

    def compose(folder: Path) -> None:
        from pipeline.release.checkpoint_card import read_card
        from pipeline.release.compose import (
            compose as compose_release,
        )  # imports PyTorch, since it reads reports
        from validation.reports.report import Report

        card = read_card(source.checkpoint.root)
        if card.note:
            listener.note(card.note)
        compose_release(
            candidate=candidate.folder,
            judged=manifest,
            report=Report.from_json((validated.folder / REPORT).read_text(encoding="utf-8"), REPORT),
            provenance=assemble.provenance(
                source.digest,
                manifest.provenance.recipe_sha256,
                _data_digests(recipe, manifest),
                targets.packages_of(variant.target for variant in manifest.variants),
            ),
            card=card,
            folder=folder,
        )
        if signer is not None:
            signing.sign(folder, signer)

    started = time.monotonic()
    with in_stage("publish"):
        publication = publish_release(
            manifest=manifest, compose=compose, artifacts=artifacts, work=work, listener=listener
        )
        if signer is not None and not signing.is_signed(publication.folder, signer):
            signing.sign(publication.folder, signer)
            listener.note(f"{publication.folder} was there before, and is signed now")
    listener.finished("publish", manifest.version, time.monotonic() - started, reused=not publication.new)
    return publication


def _data_digests(recipe: Recipe, manifest: Manifest) -> Mapping[str, str]:
    """The SHA-256 of the data files that the release was made with, by their purpose."""
    files = data_files(recipe, manifest.head)
    if not any(recipe.plan(variant, manifest.head).scheme for variant in recipe.variants):
        files.pop("calibration", None)
    return {purpose: digests.of_file(path) for purpose, path in sorted(files.items())}
