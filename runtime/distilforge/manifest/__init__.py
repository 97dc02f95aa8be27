"""The manifest: what a release holds, how it was checked and where it came from.

artifacts/README.md specifies the format; distilforge/manifest.schema.json is its JSON Schema.
"""

from distilforge.manifest.release import SCHEMA, FileRecord, Manifest, Provenance, Withheld
from distilforge.manifest.tensors import Span, Tensor
from distilforge.manifest.timing import Measurement, Steadiness
from distilforge.manifest.variant import CompiledEngine, PassRecord, Variant
from distilforge.manifest.verdicts import Comparison, Metric, Outcome, Verdict, proves_validity
from distilforge.manifest.version import release_version

__all__ = [
    "SCHEMA",
    "Comparison",
    "CompiledEngine",
    "FileRecord",
    "Manifest",
    "Measurement",
    "Metric",
    "Outcome",
    "PassRecord",
    "Provenance",
    "Span",
    "Steadiness",
    "Tensor",
    "Variant",
    "Verdict",
    "Withheld",
    "proves_validity",
    "release_version",
]
