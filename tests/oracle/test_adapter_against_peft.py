"""Merged adapters against peft's own merge, for every head that an adapter can have."""

from pathlib import Path

import peft
import pytest
import torch
import transformers

from model_src import heads
from model_src.checkpoint import load_checkpoint
from model_src.convert import convert
from tests.conftest import MakeCheckpoint

CASES = {
    "sequence_classification": ("SEQ_CLS", ["classifier", "pre_classifier"]),
    "token_classification": ("TOKEN_CLS", ["classifier"]),
    "question_answering": ("QUESTION_ANS", ["qa_outputs"]),
    "features": ("FEATURE_EXTRACTION", None),
    "masked_lm": (None, None),
}


@pytest.mark.parametrize("head", CASES)
@pytest.mark.parametrize("rank_stabilized", [False, True])
def test_outputs_equal(
    head: str, rank_stabilized: bool, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    task, saved = CASES[head]
    base = make_checkpoint(head)
    model = getattr(transformers, heads.find(head).architecture).from_pretrained(base)
    config = peft.LoraConfig(
        task_type=task,
        r=4,
        lora_alpha=6,
        target_modules=["q_lin", "v_lin", "lin1"],
        modules_to_save=saved,
        use_rslora=rank_stabilized,
        rank_pattern={"v_lin": 2},
        alpha_pattern={"layer.1.attention.v_lin": 5, "v_lin": 3},
        bias="all",
        init_lora_weights=False,
    )
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "modules_to_save" in name or name.endswith("bias"):
                parameter += 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    ours = load_checkpoint(convert(str(tmp_path / "adapter"), tmp_path / "merged", base=str(base)))
    assert ours.head == head
    ids, mask = torch.randint(5, 80, (3, 9)), torch.ones(3, 9, dtype=torch.int64)
    with torch.no_grad():
        expected = adapted.eval()(input_ids=ids, attention_mask=mask)
        merged = ours.model(ids, mask)
    for name, value in zip(ours.model.outputs, merged, strict=True):
        # Two products and a sum against one product with the sum: rounding of values up to 10
        torch.testing.assert_close(value, expected[name], rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    "trained",
    [
        {"target_modules": ["vocab_projector"]},
        {"target_modules": ["word_embeddings"]},
        {"target_modules": ["q_lin"], "modules_to_save": ["vocab_projector"]},
    ],
    ids=str,
)
def test_one_of_two_tied_weights(
    trained: dict[str, list[str]], make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    base = make_checkpoint("masked_lm", n_layers=1)
    model = transformers.DistilBertForMaskedLM.from_pretrained(base)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, init_lora_weights=False, **trained)).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "modules_to_save" in name:
                parameter += 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    ours = load_checkpoint(convert(str(tmp_path / "adapter"), tmp_path / "merged", base=str(base)))
    assert not ours.config.tie_word_embeddings
    ids, mask = torch.randint(5, 80, (3, 9)), torch.ones(3, 9, dtype=torch.int64)
    with torch.no_grad():
        expected = adapted(input_ids=ids, attention_mask=mask).logits
        (logits,) = ours.model(ids, mask)
    # Two products and a sum against one product with the sum: rounding of values up to 10
    torch.testing.assert_close(logits, expected, rtol=0, atol=5e-5)
