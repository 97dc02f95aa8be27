"""What a kind of package is given, what it answers, and how it is described."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilforge.heads import heads
from distilforge.manifest import Manifest, Variant
from distilforge.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """Options of `distilforge package` that only some kinds take; None where an option was not given."""

    platform: str | None = None
    """The processor of the machine that the package is for, such as `x86_64`."""
    python: str | None = None
    """The version of Python that the package is for, such as `3.11`."""
    onnxruntime: str | None = None
    """The version of onnxruntime that the package brings; by default the one that validated the release."""
    precision: str | None = None
    """What the model computes in, such as `fp16`, where the package translates it; by default the variant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequest:
    """A release that was verified, and what to package of it."""

    release: Path
    """The version folder, whose files all have the digests in the manifest."""
    manifest: Manifest
    """The release's manifest."""
    variant: Variant
    """The variant that the package holds; it is validated."""
    reason: str
    """Why the package holds this variant, as one line for its README."""
    options: PackageOptions
    """The options that the user gave."""

    @property
    def graph(self) -> Path:
        """The variant's file that is loaded first."""
        return self.release / self.variant.files[0]

    @property
    def example_inputs(self) -> str:
        """Inputs of the head as Python code, for the README."""
        return (heads.get(self.manifest.head) or Session).example_inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContents:
    """What a reader of a package must know about the files that a kind wrote."""

    usage: str
    """How to deploy the package: Markdown for its README, a few lines with commands."""
    self_test: tuple[str, ...]
    """The command that tests the package, run in its folder, such as ("python", "self_test.py").

    "python" stands for the interpreter that runs the pipeline. The command exits with 0 if the answers are those in
    examples.json, with 1 if they are not, and with 3 if the client is not installed. The last line that it prints is a
    JSON object with the fields of `pipeline.packages.assembly.testing.SelfTest`.
    """
    needs: tuple[str, ...] = ()
    """What must be installed for the self-test, a phrase each."""
    limits: tuple[str, ...] = ()
    """What was not tested, or does not work, a sentence each."""


Write = Callable[[PackageRequest, Path], PackageContents]
"""Writes the files of a package of the verified release into a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageKind:
    """One kind of package."""

    name: str
    """Its name on the command line."""
    help: str
    """Who deploys it and where, in one line for `distilforge list packages`."""
    holds: tuple[str, ...]
    """Patterns of the variants that it can hold, such as "openvino:*", the preferred one first."""
    write: Write
    """Writes its files."""
    options: tuple[str, ...] = ()
    """The fields of `PackageOptions` that it takes."""
