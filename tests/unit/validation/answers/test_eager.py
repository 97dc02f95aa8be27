"""The reference: outputs for some tokens alone equal those for all tokens."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.runtime_release import published
from validation.answers.eager import Eager


def test_outputs_of_kept_tokens_are_those_of_all_tokens_and_the_rest_is_zero() -> None:
    eager = Eager(published("masked_lm").checkpoint, "masked_lm")
    random = np.random.default_rng(0)
    feeds = {
        "input_ids": random.integers(5, 60, (3, 11)),
        "attention_mask": (np.arange(11) < np.array([[11], [4], [7]])).astype(np.int64),
    }
    kept = random.random((3, 11)) < 0.4
    whole, part = eager.run(feeds)["logits"], eager.run(feeds, kept)["logits"]
    assert part.shape == whole.shape
    # A product of fewer rows may add in another order: 1e-5 is far above that, and far below a wrong token's logits
    np.testing.assert_allclose(part[kept], whole[kept], rtol=0, atol=1e-5)
    assert not part[~kept].any()
    # The next call without kept tokens computes all of them
    np.testing.assert_array_equal(eager.run(feeds)["logits"], whole)


def test_threads_do_not_get_each_others_tokens() -> None:
    eager = Eager(published("masked_lm").checkpoint, "masked_lm")
    ids = np.random.default_rng(1).integers(5, 60, (2, 9))
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    whole = eager.run(feeds)["logits"]

    def agrees(number: int) -> bool:
        kept = np.zeros(ids.shape, dtype=np.bool_)
        kept[number % 2, number % 9] = True
        logits = eager.run(feeds, kept if number % 3 else None)["logits"]
        counted = kept if number % 3 else np.ones_like(kept)
        return bool(np.allclose(logits[counted], whole[counted], rtol=0, atol=1e-5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(agrees, range(60)))
