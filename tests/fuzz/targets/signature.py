"""The signature and the statement of a signed release, and the keys that an application trusts."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from distilforge import DistilforgeError
from distilforge.release import SIGNATURE, STATEMENT
from distilforge.trust.opening import read_trusted, verify_trusted

from tests.fuzz import samples
from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use


def _mutate(sample: Input, choices: Choices) -> bytes:
    if sample.name == Path(samples.KEY).name:
        return damage.damaged(sample.content, choices)
    return document.changed_json(sample.content, choices)


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        release, key = work / "signed", work / Path(samples.KEY).name
        shutil.rmtree(release, ignore_errors=True)
        shutil.copytree(folder / samples.SIGNED, release)
        shutil.copyfile(folder / samples.KEY, key)
        (work if value.name == key.name else release).joinpath(value.name).write_bytes(value.content)
        return (
            lambda: _verify(folder, value, release, key),
            lambda: read_trusted(release, trust=key, at_least=7),
        )

    return uses


def _verify(folder: Path, value: Input, release: Path, key: Path) -> None:
    verify_trusted(release, key)
    assert value.name == key.name or value.content == _original(folder, value.name), (
        "a change was not noticed"
    )


def _original(folder: Path, name: str) -> bytes:
    return (
        folder / samples.KEY if name == Path(samples.KEY).name else folder / samples.SIGNED / name
    ).read_bytes()


TARGET = Target(
    errors=(DistilforgeError,),
    samples=lambda folder: samples.read(
        folder, f"{samples.SIGNED}/{SIGNATURE}", f"{samples.SIGNED}/{STATEMENT}", samples.KEY
    ),
    mutate=_mutate,
    prepare=_prepare,
)
