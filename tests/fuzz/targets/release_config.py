"""config.json of a release, with a manifest that lists it as it is."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import distilforge
from distilforge import DistilforgeError

from tests.fuzz import samples
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use
from tests.runtime_release import record_again


def _prepare(folder: Path, work: Path) -> Reader:
    release = work / "release"
    shutil.copytree(folder / samples.RELEASE, release)

    def uses(value: Input) -> Sequence[Use]:
        (release / value.name).write_bytes(value.content)
        record_again(release)
        return (lambda: distilforge.open(release, threads=1)(["the film was good", "a"]),)

    return uses


TARGET = Target(
    errors=(DistilforgeError,),
    samples=lambda folder: samples.read(folder / samples.RELEASE, "config.json"),
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
