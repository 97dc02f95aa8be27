"""config.json, weights and sentence-transformers' files of a checkpoint."""

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from model_src import folder as folders
from model_src.checkpoint import load_checkpoint
from model_src.errors import ModelSourceError
from tests.fuzz import samples
from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use
from tests.sentence_folders import add_modules

_WEIGHTS, _PICKLE = "model.safetensors", "pytorch_model.bin"
_SENTENCE = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


def _samples(folder: Path) -> Sequence[Input]:
    """The files of a classifier, and of a sentence-transformers model; each is read in a folder of its kind."""
    own = folder / samples.CHECKPOINT
    pickle, sentence = folder / "checkpoint-pickle", folder / "checkpoint-sentence"
    if not sentence.exists():
        shutil.copytree(own, sentence)
        add_modules(
            sentence, "Normalize", encoder={"max_seq_length": 32, "do_lower_case": False},
            settings={"prompts": {"query": "query: "}, "default_prompt_name": None},
        )  # fmt: skip
        pickle.mkdir()
        torch.save(load_file(own / _WEIGHTS), pickle / _PICKLE)
    return (
        *samples.read(own, "config.json", _WEIGHTS),
        *samples.read(pickle, _PICKLE),
        *samples.read(sentence, *_SENTENCE),
    )


def _mutate(sample: Input, choices: Choices) -> bytes:
    if sample.name == _PICKLE or (sample.name == _WEIGHTS and choices.once_in(3)):
        return damage.damaged(sample.content, choices)
    if sample.name != _WEIGHTS:
        return document.changed_json(sample.content, choices)
    (size,) = struct.unpack_from("<Q", sample.content)
    header = document.changed_json(sample.content[8 : 8 + size], choices)
    return damage.sometimes_damaged(
        struct.pack("<Q", len(header)) + header + sample.content[8 + size :], choices
    )


def _prepare(folder: Path, work: Path) -> Reader:
    _samples(folder)
    sources = dict.fromkeys(_SENTENCE, folder / "checkpoint-sentence")

    def uses(value: Input) -> Sequence[Use]:
        checkpoint = work / "checkpoint"
        shutil.rmtree(checkpoint, ignore_errors=True)
        shutil.copytree(sources.get(value.name, folder / samples.CHECKPOINT), checkpoint)
        if value.name == _PICKLE:
            (checkpoint / _WEIGHTS).unlink()
        (checkpoint / value.name).write_bytes(value.content)
        return (lambda: load_checkpoint(checkpoint), lambda: folders.find(checkpoint).longest())

    return uses


TARGET = Target(errors=(ModelSourceError,), samples=_samples, mutate=_mutate, prepare=_prepare)
