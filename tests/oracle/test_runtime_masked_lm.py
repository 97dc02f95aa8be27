"""The runtime's filled masks against transformers' FillMaskPipeline."""

import distilforge
import pytest
import transformers
from distilforge import FilledMask, MaskedLanguageModel

from tests.runtime_release import Pair, published

TEXTS = (
    "the [MASK] movie",
    "[MASK]",
    "The [MASK] was not [MASK], and the doctor's [MASK]s read",
    "naïve café [MASK] 🐶 日本語!",
    "[MASK][MASK] it",
    "cat " * 20 + "[MASK] " + "dog " * 60,
)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published("masked_lm")


@pytest.fixture(scope="module")
def session(pair: Pair) -> MaskedLanguageModel:
    return distilforge.open(pair.release, head=MaskedLanguageModel)


@pytest.fixture(scope="module")
def oracle(pair: Pair) -> transformers.FillMaskPipeline:
    return transformers.pipeline(
        "fill-mask", model=str(pair.checkpoint), tokenizer_kwargs={"truncation": True}
    )


def same(
    results: tuple[FilledMask, ...],
    expected: list[dict[str, object]] | list[list[dict[str, object]]],
    text: str,
) -> None:
    masks = expected if isinstance(expected[0], list) else [expected]
    assert len(results) == len(masks)
    for mask, fills in zip(results, masks, strict=True):
        assert text[mask.start : mask.end] == "[MASK]"
        assert [(fill.token, fill.text, fill.sequence) for fill in mask.fills] == [
            (fill["token"], fill["token_str"], fill["sequence"]) for fill in fills
        ]
        assert [fill.score for fill in mask.fills] == pytest.approx(
            [fill["score"] for fill in fills], abs=1e-5
        )


@pytest.mark.parametrize("top_k", [1, 5, 50])
def test_texts(session: MaskedLanguageModel, oracle: transformers.FillMaskPipeline, top_k: int) -> None:
    results = session(list(TEXTS), top_k=top_k, truncation="truncate")
    for text, masks in zip(TEXTS, results, strict=True):
        same(masks, oracle(text, top_k=top_k), text)


def test_targets(session: MaskedLanguageModel, oracle: transformers.FillMaskPipeline) -> None:
    targets = ("good", "bad", "##s", "movie", "good")
    for text in TEXTS:
        results = session(text, targets=targets, truncation="truncate")
        same(results, oracle(text, targets=list(targets)), text)
        # Spelt otherwise, it is still one token of the vocabulary.
        assert session(text, targets=("Good",), truncation="truncate")[0].text == "good"
