"""Every head computes what transformers computes."""

from pathlib import Path

import pytest
import torch
import transformers

from model_src import heads
from model_src.checkpoint import load_checkpoint, save_checkpoint
from tests.conftest import TRANSFORMERS_HEADS, MakeCheckpoint

LIMITS = {"eager": 1e-6, "sdpa": 1e-5}


def ragged_batch(head: str, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([1, 5, 12, 33])
    ids_BT = torch.randint(0, vocabulary, (4, 33))
    mask_BT = (torch.arange(33)[None] < lengths[:, None]).long()
    if heads.find(head).axes == ("batch", "choices", "sequence"):
        return ids_BT.view(2, 2, 33), mask_BT.view(2, 2, 33)
    return ids_BT, mask_BT


def reference(folder: Path, head: str, attention: str) -> torch.nn.Module:
    model_class = getattr(transformers, heads.find(head).architecture)
    return model_class.from_pretrained(folder, attn_implementation=attention).eval()


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("sinusoidal", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_outputs_equal(
    make_checkpoint: MakeCheckpoint, head: str, attention: str, sinusoidal: bool, activation: str
) -> None:
    folder = make_checkpoint(head, sinusoidal_pos_embds=sinusoidal, activation=activation, tokenizer=False)
    ours = load_checkpoint(folder, attention=attention).model
    ids, mask = ragged_batch(head, ours.config.vocab_size)
    with torch.no_grad():
        expected = reference(folder, head, attention)(input_ids=ids, attention_mask=mask).to_tuple()
        outputs = ours(ids, mask)
    assert len(outputs) == len(expected) == len(ours.outputs)
    for ours_one, theirs in zip(outputs, expected, strict=True):
        assert ours_one.shape == theirs.shape
        assert (ours_one - theirs).abs().max().item() <= LIMITS[attention]


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_checkpoint_that_drops_everything_in_training_equals(
    make_checkpoint: MakeCheckpoint, head: str, attention: str
) -> None:
    dropouts = dict.fromkeys(("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), 1.0)
    folder = make_checkpoint(head, tokenizer=False, **dropouts)
    ours = load_checkpoint(folder, attention=attention).model
    ids, mask = ragged_batch(head, ours.config.vocab_size)
    with torch.no_grad():
        expected = reference(folder, head, attention)(input_ids=ids, attention_mask=mask).to_tuple()
        for ours_one, theirs in zip(ours(ids, mask), expected, strict=True):
            assert (ours_one - theirs).abs().max().item() <= LIMITS[attention]


@pytest.mark.parametrize("activation", ["gelu_new", "silu", "gelu_pytorch_tanh", "mish", "tanh", "swish"])
def test_every_activation_equals(make_checkpoint: MakeCheckpoint, activation: str) -> None:
    folder = make_checkpoint("features", activation=activation, tokenizer=False)
    ours = load_checkpoint(folder, attention="eager").model
    ids, mask = ragged_batch("features", ours.config.vocab_size)
    with torch.no_grad():
        (expected,) = reference(folder, "features", "eager")(input_ids=ids, attention_mask=mask).to_tuple()
        (outputs,) = ours(ids, mask)
    assert (outputs - expected).abs().max().item() <= LIMITS["sdpa"]


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
def test_what_we_write_transformers_reads(make_checkpoint: MakeCheckpoint, tmp_path: Path, head: str) -> None:
    ours = load_checkpoint(make_checkpoint(head, tokenizer=False), attention="eager").model
    save_checkpoint(ours, tmp_path / "written")
    model_class = getattr(transformers, heads.find(head).architecture)
    theirs, report = model_class.from_pretrained(
        tmp_path / "written", attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids, mask = ragged_batch(head, ours.config.vocab_size)
    with torch.no_grad():
        expected = theirs.eval()(input_ids=ids, attention_mask=mask).to_tuple()
    for ours_one, theirs_one in zip(ours(ids, mask), expected, strict=True):
        assert (ours_one - theirs_one).abs().max().item() <= LIMITS["eager"]


@pytest.mark.parametrize("labels", [1, 3, 7])
@pytest.mark.parametrize(
    "problem_type", ["regression", "single_label_classification", "multi_label_classification", None]
)
def test_labels_and_problem_type_are_read(
    make_checkpoint: MakeCheckpoint, labels: int, problem_type: str | None
) -> None:
    folder = make_checkpoint(
        "sequence_classification", num_labels=labels, problem_type=problem_type, tokenizer=False
    )
    config = load_checkpoint(folder).config
    theirs = transformers.DistilBertConfig.from_pretrained(folder)
    assert config.labels == tuple(theirs.id2label[index] for index in range(labels))
    assert config.problem_type == theirs.problem_type


def test_untied_projector_keeps_its_own_weights(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("masked_lm", tie_word_embeddings=False, tokenizer=False)
    ours = load_checkpoint(folder, attention="eager").model
    ids, mask = ragged_batch("masked_lm", ours.config.vocab_size)
    with torch.no_grad():
        expected = reference(folder, "masked_lm", "eager")(input_ids=ids, attention_mask=mask).logits
        (outputs,) = ours(ids, mask)
    assert (outputs - expected).abs().max().item() <= LIMITS["eager"]
    weights = dict(ours.named_parameters(remove_duplicate=False))
    assert not torch.equal(
        weights["vocab_projector.weight"], weights["distilbert.embeddings.word_embeddings.weight"]
    )
