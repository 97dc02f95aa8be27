"""Differences from eager: planted ones are found with their size, and only where they count."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from validation.agreement import Difference, Tally, difference, repaired
from validation.errors import ArtifactError

PER_TOKEN = ("batch", "sequence", "labels")


def feeds(*lengths: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    mask = (np.arange(max(lengths)) < np.asarray(lengths)[:, None]).astype(np.int64)
    return {"input_ids": np.ones_like(mask), "attention_mask": mask}


def test_a_planted_difference_is_found_with_its_size() -> None:
    eager = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    variant = eager.copy()
    variant[1, 2, 0] = eager[1, 2, 0] + 0.25
    found = difference(eager, variant, feeds(5, 3), PER_TOKEN)
    assert found.largest == pytest.approx(0.25, rel=1e-5)
    assert found.total == pytest.approx(0.25, rel=1e-5)
    assert found.values == (5 + 3) * 3
    assert found.non_finite == 0


def test_padding_is_not_compared_but_searched_for_nan() -> None:
    eager = np.zeros((2, 5, 3), dtype=np.float32)
    variant = eager.copy()
    variant[1, 4] = 7.0
    assert difference(eager, variant, feeds(5, 3), PER_TOKEN).largest == 0
    variant[1, 4, 0] = np.nan
    found = difference(eager, variant, feeds(5, 3), PER_TOKEN)
    assert (found.largest, found.non_finite) == (0, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_counted_and_kept_out_of_the_numbers(value: float) -> None:
    eager = np.zeros((4, 3), dtype=np.float32)
    variant = eager + np.float32(0.5)
    variant[2, 1] = value
    tally = Tally("texts", "logits", ("batch", "labels"))
    tally.add(difference(eager, variant, feeds(2, 2, 2, 2), tally.axes))
    assert tally.non_finite == 1
    assert tally.agreement.largest == 0.5
    assert tally.agreement.values == 11
    json.dumps(asdict(tally.agreement), allow_nan=False)
    assert np.isfinite(repaired({"logits": variant})["logits"]).all()


def test_an_output_that_is_not_compared_is_still_searched() -> None:
    eager = np.zeros((1, 3), dtype=np.float32)
    variant = np.full((1, 3), np.nan, dtype=np.float32)
    assert difference(eager, variant, feeds(2), ("batch", "labels"), compared=False) == Difference(
        non_finite=3
    )


def test_outputs_per_choice_are_not_masked() -> None:
    eager = np.zeros((1, 2), dtype=np.float32)
    mask = np.zeros((1, 2, 4), dtype=np.int64)
    found = difference(eager, eager + 1, {"input_ids": mask, "attention_mask": mask}, ("batch", "choices"))
    assert found.values == 2


def test_the_percentile_and_the_mean_are_numpys() -> None:
    random = np.random.default_rng(1)
    eager = random.normal(size=(6, 50)).astype(np.float32)
    variant = eager + random.normal(scale=1e-3, size=eager.shape).astype(np.float32)
    tally = Tally("texts", "logits", ("batch", "labels"))
    for rows in (slice(0, 2), slice(2, 6)):
        tally.add(difference(eager[rows], variant[rows], feeds(*[3] * len(eager[rows])), tally.axes))
    expected = np.abs(variant - eager)
    assert tally.agreement.percentile_999 == pytest.approx(np.percentile(expected, 99.9), rel=1e-5)
    assert tally.agreement.mean == pytest.approx(expected.mean(), rel=1e-5)


def test_the_percentile_of_many_values_is_sampled_evenly() -> None:
    eager = np.zeros((1000, 600), dtype=np.float32)
    variant = np.abs(np.random.default_rng(2).normal(size=eager.shape)).astype(np.float32)
    tally = Tally("texts", "logits", ("batch", "labels"))
    tally.add(difference(eager, variant, feeds(*[1] * 1000), tally.axes))
    assert tally.agreement.percentile_999 == pytest.approx(np.percentile(variant, 99.9), rel=0.03)
    assert tally.agreement.largest == variant.max()


def test_another_shape_is_an_error() -> None:
    with pytest.raises(ArtifactError, match=r"shape \(2, 4\); eager PyTorch's has \(2, 3\)"):
        difference(
            np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), feeds(2, 2), ("batch", "labels")
        )
