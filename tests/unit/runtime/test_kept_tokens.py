"""The tokens that a graph without padding computes, from a batch's mask."""

import numpy as np
import pytest
from distilforge import kept_tokens
from distilforge.manifest import Tensor


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([[1, 1, 0], [1, 0, 0]], [0, 1, 3]),
        # A hole, on the left, and another number than 1
        ([[1, 0, 1], [0, 7, 1]], [0, 2, 3, 4, 5]),
        # A text that is masked throughout is kept as a whole
        ([[0, 0, 0], [1, 0, 0]], [0, 1, 2, 3]),
        # The texts of all choices follow each other
        ([[[1, 1], [1, 0]], [[1, 0], [1, 1]]], [0, 1, 2, 4, 6, 7]),
    ],
)
def test_real_and_first_tokens_are_kept(mask: list[object], expected: list[int]) -> None:
    array = np.array(mask, dtype=np.int64)
    kept = kept_tokens.kept(array)
    assert kept.dtype == np.int64
    # Slot 0 fills up what a batch of this size has at most
    assert kept.tolist() == expected + [0] * (array.size - len(expected))


@pytest.mark.parametrize(
    ("tokens", "length"), [(1, 64), (63, 64), (64, 64), (65, 128), (190, 192), (198, 200)]
)
def test_the_number_is_a_multiple_of_64_or_the_size_of_the_batch(tokens: int, length: int) -> None:
    kept = kept_tokens.kept((np.arange(200) < tokens)[None].astype(np.int64))
    assert kept.shape == (length,)
    assert kept[:tokens].tolist() == list(range(tokens))
    assert not kept[tokens:].any()


@pytest.mark.parametrize("shape", [(1, 8), (8, 64), (8, 128), (32, 128), (16, 512), (32, 512)])
def test_batches_of_one_shape_have_few_numbers(shape: tuple[int, int]) -> None:
    texts, tokens = shape
    lengths = {
        kept_tokens.kept((np.arange(texts * tokens).reshape(shape) < count).astype(np.int64)).size
        for count in range(1, texts * tokens + 1, 7)
    }
    assert len(lengths) <= 17
    assert max(lengths) == texts * tokens


def test_the_mask_and_the_feeds_stay_as_they_are() -> None:
    mask = np.array([[0, 0], [0, 1]], dtype=np.int64)
    feeds = {"input_ids": np.ones_like(mask), "attention_mask": mask}
    fed = kept_tokens.complete(feeds)
    assert [*fed] == ["input_ids", "attention_mask", "kept_tokens"]
    assert [*feeds] == ["input_ids", "attention_mask"]
    assert mask.tolist() == [[0, 0], [0, 1]]


def test_users_do_not_see_the_input() -> None:
    inputs = [Tensor(name=name, dtype="int64", shape=("n",)) for name in ("attention_mask", "kept_tokens")]
    assert kept_tokens.without(inputs) == (inputs[0],)
