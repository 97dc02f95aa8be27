"""The tokenizer's files of a checkpoint, of which a build writes those of a release."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from distilforge import DistilforgeError

from model_src.errors import ModelSourceError
from model_src.folder import CheckpointFolder
from pipeline.errors import PipelineError
from pipeline.release import tokenizer
from tests.conftest import VOCABULARY
from tests.fuzz import samples
from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use

_NAMES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def _mutate(sample: Input, choices: Choices) -> bytes:
    if sample.name != "vocab.txt":
        return document.changed_json(sample.content, choices)
    lines: list[object] = [*sample.content.decode().splitlines()]
    return damage.encoded(document.changed(lines, document.render_lines, choices), choices)


def _prepare(folder: Path, work: Path) -> Reader:
    checkpoint, release = work / "checkpoint", work / "release"
    checkpoint.mkdir()
    shutil.copyfile(folder / samples.CHECKPOINT / "config.json", checkpoint / "config.json")

    def uses(value: Input) -> Sequence[Use]:
        for name in _NAMES:
            shutil.copyfile(folder / samples.CHECKPOINT / name, checkpoint / name)
        if value.name == "vocab.txt":
            # Or it would not be read
            (checkpoint / "tokenizer.json").unlink()
        (checkpoint / value.name).write_bytes(value.content)
        shutil.rmtree(release, ignore_errors=True)
        release.mkdir()
        source = CheckpointFolder(path=checkpoint, weights=())
        return (
            lambda: tokenizer.remarks(source),
            lambda: tokenizer.write(source, release, vocab_size=len(set(VOCABULARY)), longest=64),
        )

    return uses


TARGET = Target(
    errors=(ModelSourceError, PipelineError, DistilforgeError),
    samples=lambda folder: samples.read(folder / samples.CHECKPOINT, *_NAMES),
    mutate=_mutate,
    prepare=_prepare,
)
