"""Real texts in batches: every head's texts can be read, and either order has each text once."""

from pathlib import Path

import pytest
from distilforge.tokenizer import Encoding, Tokenizer

from bench.texts.batches import BATCH, HEADS, ORDERS, SPANS, Order, batches, read_texts
from tests.conftest import write_tokenizer
from validation import data

LENGTHS = tuple(2 + number * 7 % 90 for number in range(70))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(path)
    return path


@pytest.fixture(scope="module")
def texts(folder: Path) -> tuple[Encoding, ...]:
    return tuple(Tokenizer(folder).encode(["cat " * (length - 2) for length in LENGTHS]))


@pytest.mark.parametrize("head", HEADS)
def test_the_texts_of_every_head_are_read(head: str, folder: Path) -> None:
    read = read_texts(head, folder, 9).encodings()
    assert len(read) == 9
    assert len({tuple(text.ids) for text in read}) > 1


def test_every_head_with_texts_is_listed() -> None:
    assert sorted(HEADS) == sorted(path.name for path in data.DEMO.iterdir() if path.is_dir())


@pytest.mark.parametrize("order", ORDERS)
def test_each_text_is_in_one_batch(order: Order, texts: tuple[Encoding, ...]) -> None:
    lengths = [int(length) for _, mask in batches(texts, order) for length in mask.sum(axis=1)]
    assert lengths == (list(LENGTHS) if order in ("arrival", "single") else sorted(LENGTHS))


@pytest.mark.parametrize("order", ["arrival", "sorted"])
def test_a_peer_gets_batches_of_32(order: Order, texts: tuple[Encoding, ...]) -> None:
    assert [len(ids) for ids, _ in batches(texts, order)] == [BATCH, BATCH, len(LENGTHS) - 2 * BATCH]


def test_single_texts_have_no_padding(texts: tuple[Encoding, ...]) -> None:
    assert [ids.shape for ids, _ in batches(texts, "single")] == [(1, length) for length in LENGTHS]


def test_a_session_gets_the_batches_that_it_makes(texts: tuple[Encoding, ...]) -> None:
    slots = SPANS["batch"].usual * SPANS["sequence"].usual
    cut = batches(texts, "session")
    assert all(ids.size <= slots and len(ids) <= SPANS["batch"].high for ids, _ in cut)
    assert len(cut) > len(batches(texts, "sorted"))


def test_a_batch_is_as_long_as_its_longest_text(texts: tuple[Encoding, ...]) -> None:
    for ids, mask in batches(texts, "arrival"):
        assert ids.shape == mask.shape
        assert ids.shape[1] == mask.sum(axis=1).max()
