"""Optimization profiles from spans and buckets."""

import pytest
from distilforge.manifest import Span

from pipeline.engines.profiles import profiles
from pipeline.errors import UsageError

SPANS = {"batch": Span(low=1, usual=8, high=32), "sequence": Span(low=8, usual=128, high=512)}


def tokens(*buckets: int) -> list[tuple[int, int, int]]:
    spans = [profile["sequence"] for profile in profiles(SPANS, buckets)]
    return [(span.low, span.usual, span.high) for span in spans]


def test_without_buckets_the_spans_are_the_only_profile() -> None:
    assert profiles(SPANS, ()) == (SPANS,)


def test_buckets_meet_without_gaps_and_the_rest_of_the_span_has_a_profile_too() -> None:
    assert tokens(64, 256) == [(8, 64, 64), (65, 128, 256), (257, 512, 512)]


def test_a_bucket_at_the_end_of_the_span_is_the_last_profile() -> None:
    assert tokens(64, 512) == [(8, 64, 64), (65, 128, 512)]


def test_other_axes_keep_their_spans() -> None:
    assert {profile["batch"] for profile in profiles(SPANS, (64,))} == {SPANS["batch"]}


@pytest.mark.parametrize("bucket", [7, 513])
def test_a_bucket_outside_the_span_is_refused(bucket: int) -> None:
    with pytest.raises(UsageError, match=f"bucket {bucket} lies outside .* 8 to 512") as caught:
        profiles(SPANS, (bucket,))
    assert caught.value.hint
