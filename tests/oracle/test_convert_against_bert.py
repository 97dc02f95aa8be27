"""A converted BERT computes what BERT computes when every token is of type 0."""

from pathlib import Path

import pytest
import torch
import transformers

from model_src.checkpoint import load_checkpoint
from model_src.convert import convert_bert
from model_src.errors import ConfigurationError


def bert(architecture: str, folder: Path, **changes: object) -> torch.nn.Module:
    values: dict[str, object] = {
        "vocab_size": 90,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "initializer_range": 0.2,
    }
    config = transformers.BertConfig(**(values | changes))
    model = getattr(transformers, architecture)(config).eval()
    model.save_pretrained(folder)
    assert isinstance(model, torch.nn.Module)
    return model


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("BertModel", "features"),
        ("BertForMaskedLM", "masked_lm"),
        ("BertForTokenClassification", "token_classification"),
        ("BertForQuestionAnswering", "question_answering"),
    ],
)
def test_outputs_equal(tmp_path: Path, architecture: str, head: str) -> None:
    theirs = bert(architecture, tmp_path / "bert")
    ours = load_checkpoint(convert_bert(tmp_path / "bert", tmp_path / "distilbert"), attention="eager")
    assert ours.head == head
    ids = torch.randint(0, 90, (3, 20))
    mask = (torch.arange(20)[None] < torch.tensor([20, 7, 1])[:, None]).long()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask)
        outputs = ours.model(ids, mask)
    for name, value in zip(ours.model.outputs, outputs, strict=True):
        difference = (value - expected[name]).abs() * mask.view(3, 20, *[1] * (value.dim() - 2))
        # the folded sum rounds differently than two sums
        assert difference.max().item() <= 2e-5


def test_head_behind_the_pooler_is_refused(tmp_path: Path) -> None:
    bert("BertForSequenceClassification", tmp_path / "bert")
    with pytest.raises(ConfigurationError, match="no exact DistilBERT"):
        convert_bert(tmp_path / "bert", tmp_path / "distilbert")


def test_relative_positions_are_refused(tmp_path: Path) -> None:
    bert("BertModel", tmp_path / "bert", position_embedding_type="relative_key")
    with pytest.raises(ConfigurationError, match="relative_key"):
        convert_bert(tmp_path / "bert", tmp_path / "distilbert")


def test_another_epsilon_is_refused(tmp_path: Path) -> None:
    bert("BertModel", tmp_path / "bert", layer_norm_eps=1e-5)
    with pytest.raises(ConfigurationError, match="1e-05"):
        convert_bert(tmp_path / "bert", tmp_path / "distilbert")
