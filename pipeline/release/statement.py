"""The statement of a signed release: how it was made and judged, as an in-toto statement.

OpenSSF's model signing signs digests and nothing else. The statement is a file that it signs, so that accuracy, speed,
versions and the digests of checkpoint and data are signed too.
Source of the form: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import json
from dataclasses import asdict
from pathlib import Path

from distilforge.manifest import Manifest, Steadiness, Variant
from distilforge.release import MANIFEST
from distilforge.timing import ratios
from distilforge.trust.payload import STATEMENT_TYPE

from pipeline.store import digests

PREDICATE_TYPE = "https://distilforge/evidence/v1"


def render(manifest: Manifest, folder: Path, order: int | None) -> str:
    """The statement on the release in `folder`, whose manifest is `manifest`.

    `order` rises from one version of the release to the next; it is None if the publisher does not number them.
    """
    subjects = {MANIFEST: digests.of_file(folder / MANIFEST)}
    subjects |= {name: record.sha256 for name, record in manifest.files.items()}
    provenance = manifest.provenance
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [_resource(name, sha256) for name, sha256 in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "name": manifest.name,
            "version": manifest.version,
            "head": manifest.head,
            "created": provenance.created,
            "order": order,
            "materials": [
                _resource("checkpoint", provenance.checkpoint_sha256),
                _resource("recipe", provenance.recipe_sha256),
                *(
                    _resource(f"{name} data", sha256)
                    for name, sha256 in sorted(provenance.data_sha256.items())
                ),
            ],
            "builder": {
                "git_commit": provenance.git_commit,
                "tools": dict(provenance.tools),
                "host": provenance.host,
            },
            "validated": manifest.validated,
            "timing": None
            if manifest.timing is None
            else {"steady": manifest.timing.steady, "reasons": list(manifest.timing.reasons)},
            "variants": [_variant(variant, manifest.timing) for variant in manifest.variants],
            "withheld": [asdict(variant) for variant in manifest.withheld],
        },
    }
    return json.dumps(statement, indent=1, ensure_ascii=False) + "\n"


def _resource(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def _variant(variant: Variant, timing: Steadiness | None) -> dict[str, object]:
    apart = timing.apart if timing is not None else ()
    steady = timing is None or timing.steady
    return {
        "name": variant.name,
        "validated": variant.validated,
        "accuracy": [asdict(metric) for metric in variant.metrics],
        "checks": [{**asdict(verdict), "outcome": verdict.outcome} for verdict in variant.verdicts],
        # The raw samples are in the manifest, which is signed too
        "latency": [
            {
                "subject": measurement.subject,
                "batch": measurement.batch,
                "tokens": measurement.tokens,
                # A timing that was not steady claims no speed
                "median_seconds": ratios.seconds(measurement, apart=apart).value if steady else None,
                "samples": len(measurement.seconds),
            }
            for measurement in variant.measurements
            if measurement.seconds
        ],
    }
