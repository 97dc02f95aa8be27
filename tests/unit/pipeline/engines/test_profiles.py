"""Optimization profiles from spans and buckets."""

import pytest
from distilforge.manifest import Span

from pipeline.engines import build
from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.options import EngineOptions
from pipeline.engines.profiles import profiles
from pipeline.errors import UsageError
from pipeline.targets.onnxruntime_tensorrt import ONNXRUNTIME_TENSORRT
from pipeline.targets.tensorrt import TENSORRT
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX

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


def test_batches_divide_every_bucket() -> None:
    sizes = [
        (profile["batch"].low, profile["batch"].high, profile["sequence"].low, profile["sequence"].high)
        for profile in profiles(SPANS, (64,), (1, 8))
    ]
    assert sizes == [
        (low, high, *tokens) for low, high in ((1, 1), (2, 8), (9, 32)) for tokens in ((8, 64), (65, 512))
    ]


def test_by_default_tensorrt_has_a_profile_for_small_and_large_batches_and_texts() -> None:
    ranges = build._profiles(TENSORRT, EngineOptions(), SPANS)
    assert [(profile["batch"].high, profile["sequence"].high) for profile in ranges] == [
        (batch, tokens) for batch in (1, 8, 32) for tokens in (64, 128, 384, 512)
    ]
    short = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=1, usual=32, high=100)}
    ranges = build._profiles(TENSORRT, EngineOptions(), short)
    assert [(profile["batch"].high, profile["sequence"].high) for profile in ranges] == [
        (batch, tokens) for batch in (1, 4) for tokens in (64, 100)
    ]
    assert build._profiles(TENSORRT, EngineOptions(buckets=(100,), batches=(4,)), short) == (short,)


@pytest.mark.parametrize("compiler", [TENSORRT_RTX, ONNXRUNTIME_TENSORRT])
def test_others_have_one_profile_by_default(compiler: EngineCompiler) -> None:
    assert build._profiles(compiler, EngineOptions(), SPANS) == (SPANS,)


def test_a_batch_outside_the_span_is_refused() -> None:
    with pytest.raises(UsageError, match="batch 33 lies outside the recipe's batch span, 1 to 32 texts"):
        profiles(SPANS, (), (33,))


@pytest.mark.parametrize("bucket", [7, 513])
def test_a_bucket_outside_the_span_is_refused(bucket: int) -> None:
    with pytest.raises(UsageError, match=f"bucket {bucket} lies outside .* 8 to 512") as caught:
        profiles(SPANS, (bucket,))
    assert caught.value.hint
