"""Makes packages of small random releases for tests."""

from pathlib import Path

from pipeline.packages import kinds
from pipeline.packages.assembly import build
from pipeline.packages.assembly.build import Package
from pipeline.packages.base import PackageOptions
from tests.runtime_release import LABELS, published


class Notes:
    """Keeps the remarks of a build."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def random_release(head: str) -> Path:
    """A small random release, which tests must not change."""
    return published(head, LABELS.get(head, ())).release


def make(
    kind: str,
    release: Path,
    output: Path,
    *,
    variant: str | None = None,
    options: PackageOptions | None = None,
    trust: Path | None = None,
    replace: bool = False,
    notes: Notes | None = None,
) -> Package:
    """A package of the release."""
    return build.make(
        release,
        kinds.find(kind),
        output=output,
        variant=variant,
        options=options or PackageOptions(),
        trust=trust,
        replace=replace,
        listener=notes or Notes(),
    )
