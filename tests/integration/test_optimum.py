"""Other clients: Optimum loads a release folder as it is, and its answers agree with those of transformers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers

from model_src import heads
from tests.conftest import TRANSFORMERS_HEADS
from tests.integration.conftest import Release

# Optimum and its dependencies raise warnings about their own future versions
pytestmark = pytest.mark.filterwarnings("ignore")

CLASSES = {
    "features": "ORTModelForFeatureExtraction",
    "masked_lm": "ORTModelForMaskedLM",
    "multiple_choice": "ORTModelForMultipleChoice",
    "question_answering": "ORTModelForQuestionAnswering",
    "sequence_classification": "ORTModelForSequenceClassification",
    "token_classification": "ORTModelForTokenClassification",
}


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
def test_optimum_loads_the_release_and_agrees(head: str, release_of: Callable[[str], Release]) -> None:
    import optimum.onnxruntime

    release = release_of(head)
    model = getattr(optimum.onnxruntime, CLASSES[head]).from_pretrained(release.folder, subfolder="onnx")
    tokenizer = transformers.AutoTokenizer.from_pretrained(release.folder)
    original = getattr(transformers, heads.find(head).architecture).from_pretrained(release.checkpoint).eval()

    texts = ["the film was great", "a bad dog", "what city is it, and when"]
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    if head == "multiple_choice":
        encoded = {name: torch.stack([array, array.flip(0)]) for name, array in encoded.items()}
    with torch.no_grad():
        expected = original(**encoded)
    answers = model(**encoded)
    for name in heads.find(head).output_axes:
        np.testing.assert_allclose(answers[name].numpy(), expected[name].numpy(), rtol=0, atol=1e-4)
