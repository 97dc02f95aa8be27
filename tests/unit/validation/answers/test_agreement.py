"""Differences from eager: planted ones are measured, and only where they count."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from validation.answers.agreement import Difference, Tally, difference, is_finite, without_non_finite
from validation.errors import ArtifactError

PER_TOKEN = ("batch", "sequence", "labels")


def feeds(*lengths: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    mask = (np.arange(max(lengths)) < np.asarray(lengths)[:, None]).astype(np.int64)
    return {"input_ids": np.ones_like(mask), "attention_mask": mask}


def test_a_planted_difference_has_its_size() -> None:
    eager = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    variant = eager.copy()
    variant[1, 2, 0] = eager[1, 2, 0] + 0.25
    planted = difference(eager, variant, feeds(5, 3), PER_TOKEN)
    assert planted.largest == pytest.approx(0.25, rel=1e-5)
    assert planted.total == pytest.approx(0.25, rel=1e-5)
    assert planted.values == (5 + 3) * 3
    assert planted.non_finite == 0


def test_padding_is_not_compared_but_searched_for_nan() -> None:
    eager = np.zeros((2, 5, 3), dtype=np.float32)
    variant = eager.copy()
    variant[1, 4] = 7.0
    assert difference(eager, variant, feeds(5, 3), PER_TOKEN).largest == 0
    variant[1, 4, 0] = np.nan
    broken = difference(eager, variant, feeds(5, 3), PER_TOKEN)
    assert (broken.largest, broken.non_finite) == (0, 1)


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
    assert np.isfinite(without_non_finite({"logits": variant})["logits"]).all()


def test_an_output_that_is_not_compared_is_still_searched() -> None:
    eager = np.zeros((1, 3), dtype=np.float32)
    variant = np.full((1, 3), np.nan, dtype=np.float32)
    assert difference(eager, variant, feeds(2), ("batch", "labels"), compared=False) == Difference(
        non_finite=3
    )


def test_outputs_per_choice_are_not_masked() -> None:
    eager = np.zeros((1, 2), dtype=np.float32)
    mask = np.zeros((1, 2, 4), dtype=np.int64)
    masked = difference(eager, eager + 1, {"input_ids": mask, "attention_mask": mask}, ("batch", "choices"))
    assert masked.values == 2


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


def test_only_the_kept_tokens_are_compared() -> None:
    eager = np.zeros((2, 3, 4), dtype=np.float32)
    variant = eager.copy()
    variant[0, 1], variant[1, 2] = 3.0, 5.0
    kept = np.zeros((2, 3), dtype=np.bool_)
    kept[0, 1] = True
    part = difference(eager, variant, feeds(3, 3), PER_TOKEN, kept=kept)
    assert (part.largest, part.values) == (3.0, 4)


def test_where_nothing_is_left_to_compare_nothing_is_claimed() -> None:
    eager = np.zeros((1, 2, 3), dtype=np.float32)
    padding = {name: np.zeros((1, 2), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    assert difference(eager, eager + 9, padding, PER_TOKEN) == Difference(non_finite=0)
    empty = Tally("texts", "logits", PER_TOKEN)
    assert (empty.agreement.values, empty.agreement.noise, empty.agreement.percentile_999) == (0, 0.0, 0.0)


def noise(eager: np.ndarray, variant: np.ndarray, parts: int = 1) -> float:
    """Of one output, added in several batches."""
    tally = Tally("texts", "logits", ("batch", "labels"))
    for some, others in zip(np.array_split(eager, parts), np.array_split(variant, parts), strict=True):
        tally.add(difference(some, others, feeds(*[1] * len(some)), tally.axes))
    return tally.agreement.noise


@pytest.mark.parametrize("parts", [1, 3, 10])
def test_noise_is_the_differences_rms_by_eagers_standard_deviation_around_its_channels(parts: int) -> None:
    random = np.random.default_rng(3)
    eager = (random.normal(5, 2, (40, 30)) + 100 * np.arange(30)).astype(np.float32)
    variant = eager + random.normal(0, 0.1, eager.shape).astype(np.float32)
    expected = np.sqrt(np.mean((variant - eager) ** 2)) / np.sqrt(eager.var(axis=0).mean())
    assert noise(eager, variant, parts) == pytest.approx(expected, rel=1e-4)  # sums are of float32 values
    assert expected == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("constant", [0.0, 50.0, 5e4])
def test_a_channel_that_is_always_large_does_not_hide_the_noise_of_the_others(constant: float) -> None:
    random = np.random.default_rng(6)
    eager = random.normal(size=(200, 20)).astype(np.float32)
    eager[:, 7] = constant
    variant = eager + random.normal(0, 0.5, eager.shape).astype(np.float32)
    variant[:, 7] = constant
    # Half of the spread of every other channel; around the mean of all values, it would be below 0.01 at 5e4
    assert noise(eager, variant) == pytest.approx(0.5, rel=0.05)


def test_a_constant_error_is_noise() -> None:
    eager = np.random.default_rng(7).normal(size=(300, 4)).astype(np.float32)
    assert noise(eager, eager + np.float32(2)) == pytest.approx(2, rel=0.1)  # a deviation of 1200 values


def scaled(eager: np.ndarray, variant: np.ndarray, axes: tuple[str, ...] = ("batch", "labels")) -> float:
    tally = Tally("texts", "logits", axes)
    for row in range(len(eager)):
        part = slice(row, row + 1)
        tally.add(difference(eager[part], variant[part], feeds(eager.shape[1]), tally.axes))
    return tally.agreement.scaled


def test_an_error_is_relative_to_the_largest_value_of_its_own_channel_beyond_one() -> None:
    eager = np.float32([[2800, 0.5, -2], [2000, 0.1, 0]])
    off = eager + np.float32([[0, 0, 0], [0.25, 0.002, 0.002]])
    # 0.25 of 2800 is less than 0.002 of 2, and a value below 1 gives no more room than 1
    assert scaled(eager, off) == pytest.approx(0.002, rel=1e-3)
    assert scaled(eager[:, :1], off[:, :1]) == pytest.approx(0.25 / 2800, rel=1e-3)
    # Tokens are not channels: an error at one is relative to the largest value of all
    assert scaled(eager, off, ("batch", "sequence")) == pytest.approx(0.25 / 2800, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1e-5, 1e-7])
def test_an_output_of_small_numbers_cannot_be_lost_within_the_limit(scale: float) -> None:
    eager = np.float32(scale) * np.random.default_rng(9).uniform(-1, 1, size=(50, 1)).astype(np.float32)
    assert scaled(eager, np.zeros_like(eager)) == pytest.approx(0.01)
    assert scaled(eager, eager * np.float32(1 + 1e-6)) < 1e-7
    assert scaled(np.zeros_like(eager), np.zeros_like(eager)) == 0


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (1e3, 0.0), (1.0, 10.0)])
def test_noise_depends_neither_on_the_outputs_scale_nor_on_its_offset(scale: float, offset: float) -> None:
    random = np.random.default_rng(4)
    eager = random.normal(size=(40, 30))
    variant = eager + random.normal(0, 0.1, eager.shape)
    moved = [(scale * side + offset).astype(np.float32) for side in (eager, variant)]
    # At 10, a float32 keeps five digits of the differences
    assert noise(*moved) == pytest.approx(
        noise(eager.astype(np.float32), variant.astype(np.float32)), rel=1e-3
    )


def test_an_output_without_any_information_has_a_noise_of_one() -> None:
    eager = np.random.default_rng(5).normal(3, 2, (100, 50)).astype(np.float32)
    assert noise(eager, np.tile(eager.mean(axis=0), (100, 1))) == pytest.approx(1, rel=1e-3)


def test_a_constant_output_has_a_finite_noise() -> None:
    constant = np.ones((4, 5), dtype=np.float32)
    assert noise(constant, constant) == 0
    assert np.isfinite(noise(constant, constant + 1))
    assert noise(constant, constant + 1) > 1


def test_large_finite_values_are_finite_though_their_sum_is_not() -> None:
    large = np.full((2, 3), 3e38, dtype=np.float32)
    assert is_finite(large)
    assert without_non_finite({"logits": large})["logits"] is large
    large[0, 0] = np.inf
    assert not is_finite(large)
