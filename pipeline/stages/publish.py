"""Publish: the validated candidate becomes a version in the artifacts folder."""

import time
from pathlib import Path

from distilforge.manifest import Manifest

from pipeline.errors import in_stage
from pipeline.release import assemble
from pipeline.release.publish import Publication
from pipeline.release.publish import publish as publish_release
from pipeline.stages.load import Source
from pipeline.stages.validate import REPORT
from pipeline.store.work import ProgressListener, Stage


def publish(
    artifacts: Path,
    work: Path,
    source: Source,
    candidate: Stage,
    validated: Stage,
    manifest: Manifest,
    listener: ProgressListener,
) -> Publication:
    """Publish the release that `manifest` describes below `artifacts`; `work` is a folder on the same file system."""

    def compose(folder: Path) -> None:
        from pipeline.release.compose import (
            compose as compose_release,
        )  # imports PyTorch, since it reads reports
        from validation.report import Report

        compose_release(
            candidate=candidate.folder,
            judged=manifest,
            report=Report.from_json((validated.folder / REPORT).read_text(encoding="utf-8"), REPORT),
            provenance=assemble.provenance(source.digest, manifest.provenance.recipe_sha256),
            folder=folder,
        )

    started = time.monotonic()
    with in_stage("publish"):
        publication = publish_release(
            manifest=manifest, compose=compose, artifacts=artifacts, work=work, listener=listener
        )
    listener.finished("publish", manifest.version, time.monotonic() - started, reused=not publication.new)
    return publication
