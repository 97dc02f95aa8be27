"""The manifest of one release."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from distilforge.errors import ReleaseError
from distilforge.manifest.document import READER
from distilforge.manifest.tensors import Span, Tensor
from distilforge.manifest.timing import Steadiness
from distilforge.manifest.variant import Variant

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What a file must be."""

    sha256: str
    """Its SHA-256, in hexadecimal digits."""
    bytes: int
    """Its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A variant that was built and measured, and is not in the release."""

    name: str
    """Written `target:precision`."""
    reason: str
    """A sentence with the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a release came from."""

    checkpoint_sha256: str
    """The SHA-256 of the checkpoint, in hexadecimal digits."""
    recipe_sha256: str
    """The SHA-256 of the recipe, in hexadecimal digits."""
    git_commit: str
    """The pipeline's commit, with `+changes` if files differed from it."""
    tools: Mapping[str, str]
    """The versions of the packages that built the release, by name."""
    host: str
    """The machine that it was built and measured on."""
    created: str
    """When, as ISO 8601."""
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of the data that it was made with, by `evaluation` and `calibration`; empty in older releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One release: one checkpoint with one head, in one or more variants."""

    name: str
    """The release's name."""
    version: str
    """A digest of what the release holds."""
    head: str
    """What the model computes, such as `sequence_classification`."""
    labels: tuple[str, ...]
    """The names of the classes, by index; empty for a head without classes."""
    problem_type: str | None
    """Which function turns logits into scores, as in config.json; None if the number of labels decides."""
    inputs: tuple[Tensor, ...]
    """The graphs' inputs."""
    outputs: tuple[Tensor, ...]
    """The graphs' outputs."""
    spans: Mapping[str, Span]
    """The sizes that each dynamic axis may have."""
    variants: tuple[Variant, ...]
    """What can be run."""
    files: Mapping[str, FileRecord]
    """Every file of the release except the manifest, by its relative path with forward slashes."""
    provenance: Provenance
    """Where the release came from."""
    withheld: tuple[Withheld, ...] = ()
    """The variants that were built and left out."""
    timing: Steadiness | None = None
    """Whether the measurements can be relied on; None if nothing was timed, and in older releases."""
    schema: int = SCHEMA
    """The version of this format."""

    @property
    def validated(self) -> bool:
        """Whether every variant is."""
        return all(variant.validated for variant in self.variants)

    def to_json(self) -> str:
        """The manifest as a JSON document."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "manifest.json") -> "Manifest":
        """The manifest in `text`; ReleaseError naming the field that is missing, does not fit or is too new."""
        document = READER.parse_json(text, path)
        # Before the other fields, which may have another meaning in a later schema
        schema = document.get("schema") if isinstance(document, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise ReleaseError(
                f"{path} has schema {schema!r:.40}; this distilforge reads schemas up to {SCHEMA}",
                hint="pip install --upgrade distilforge",
            )
        return READER.read(cls, document, path)
