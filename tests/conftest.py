"""What all tests share: small random DistilBERT checkpoints, saved by transformers, and a marker for each folder."""

import gc
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import transformers

from model_src import checkpoint, heads
from model_src.config import DistilBertConfig
from model_src.folder import CheckpointFolder
from model_src.initialize import initialize

WORDS = (
    "the a and of to in is it was good bad great movie film plot food hotel room service doctor product not very "
    "how do you i we they he she who what when where why which city river king year play game team won lost "
    "##s ##ing ##ed ##ly ##er un re cat dog house tree blue red fast slow make bread first then open close door"
).split()
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
VOCABULARY = (*SPECIAL, *CHARACTERS, *(f"##{character}" for character in CHARACTERS), *WORDS)

MakeCheckpoint = Callable[..., Path]

TESTS = Path(__file__).parent

TRANSFORMERS_HEADS = tuple(
    name for name in heads.names() if hasattr(transformers, heads.find(name).architecture)
)
"""The heads that transformers has too, for tests that compare with it or read what it wrote."""
DEMO_HEADS = tuple(
    sorted(path.name for path in (TESTS.parent / "validation" / "data").iterdir() if path.is_dir())
)
"""The heads for which the demo has texts."""


def pytest_configure() -> None:
    """Several test processes at once share the cores, one thread each; what they start inherits it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Hide from the garbage collector what collecting the tests made: millions of objects, which stay to the end.

    A build ends with a full collection, which would take about a second.
    """
    gc.disable()
    yield
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the name of its folder: unit, integration, oracle, gpu or emulation."""
    for item in items:
        if item.path.is_relative_to(TESTS):
            item.add_marker(item.path.relative_to(TESTS).parts[0])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    # torch.manual_seed also formats a stack for each kind of GPU that is not in use, which takes 2 ms a test
    torch.default_generator.manual_seed(20)


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """`make_checkpoint(head, folder=None, tokenizer=True, **config)`: a random checkpoint's folder."""

    def make(head: str, *, folder: Path | None = None, tokenizer: bool = True, **changes: object) -> Path:
        destination = folder or tmp_path / f"checkpoint-{head}"
        return save_checkpoint(head, destination, tokenizer=tokenizer, **changes)

    return make


def save_checkpoint(head: str, destination: Path, *, tokenizer: bool = True, **changes: object) -> Path:
    """A random checkpoint in `destination`, which is returned; its configuration is tiny but for `changes`."""
    values: dict[str, object] = {
        "vocab_size": len(dict.fromkeys(VOCABULARY)),
        "max_position_embeddings": 64,
        "n_layers": 2,
        "n_heads": 4,
        "dim": 32,
        "hidden_dim": 64,
        # wide enough that answers differ visibly
        "initializer_range": 0.2,
    }
    save_model(head, transformers.DistilBertConfig(**(values | changes)), destination)
    if tokenizer:
        write_tokenizer(destination)
    return destination


def save_model(head: str, config: transformers.DistilBertConfig, destination: Path) -> None:
    """Write a model with random weights, as transformers does if it has the head."""
    architecture = heads.find(head).architecture
    if head in TRANSFORMERS_HEADS:
        getattr(transformers, architecture)(config).save_pretrained(destination)
        return
    own_config = DistilBertConfig.from_hugging_face(config.to_dict())
    model = heads.find(head)(own_config, "eager")
    initialize(model, own_config)
    checkpoint.save_checkpoint(model, destination)


def write_tokenizer(destination: Path, vocabulary: tuple[str, ...] = VOCABULARY) -> None:
    """A WordPiece tokenizer's files with `vocabulary`, as transformers saves them."""
    vocab = destination / "vocab.txt"
    vocab.write_text("\n".join(dict.fromkeys(vocabulary)) + "\n", encoding="utf-8")
    transformers.DistilBertTokenizerFast(vocab_file=str(vocab), model_max_length=64).save_pretrained(
        destination
    )


def tokenizer_checkpoint(folder: Path) -> CheckpointFolder:
    """A checkpoint in the new `folder` that has a tokenizer and no weights."""
    folder.mkdir()
    write_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "distilbert"}')
    return CheckpointFolder(path=folder, weights=())


def read_config(folder: Path) -> dict[str, object]:
    """config.json of `folder`, to be changed and written back."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell that starts the tests in the background has them and all they start ignore Ctrl-C; undo that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
