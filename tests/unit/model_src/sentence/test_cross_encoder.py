"""Cross-encoders: the activation of sentence-transformers as a problem type, from every place where it is stored."""

import json
from pathlib import Path

import pytest

from model_src.checkpoint import load_checkpoint
from model_src.errors import CheckpointError, ConfigurationError
from model_src.folder import find
from tests.conftest import MakeCheckpoint, read_config
from tests.sentence_folders import MODELS, write

IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"


def new_layout(folder: Path, **settings: object) -> Path:
    """Write the files of version 5 into `folder`."""
    write(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": MODELS + "Transformer"}])
    write(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder", **settings})
    return folder


@pytest.mark.parametrize(
    ("activation", "labels", "expected"),
    [
        (IDENTITY, 1, "regression"),
        (IDENTITY, 3, None),
        (SIGMOID, 1, None),
        (SIGMOID, 3, "multi_label_classification"),
        ("torch.nn.modules.activation.Softmax", 3, "single_label_classification"),
    ],
)
@pytest.mark.parametrize(
    "place", ["sbert_ce_default_activation_function", "sentence_transformers", "settings"]
)
def test_the_activation_decides_the_problem_type(
    place: str, activation: str, labels: int, expected: str | None, make_checkpoint: MakeCheckpoint
) -> None:
    folder = make_checkpoint("sequence_classification", tokenizer=False, n_layers=1, num_labels=labels)
    if place == "settings":
        new_layout(folder, activation_fn=activation)
    else:
        value = activation if place.startswith("sbert") else {"activation_fn": activation}
        write(folder / "config.json", read_config(folder) | {place: value})
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config.problem_type == expected
    said = [f"problem_type is read as {expected}" in remark for remark in checkpoint.remarks]
    assert said == ([True] if expected else [])


@pytest.mark.parametrize(
    ("activation", "labels", "kind", "agrees"),
    [
        (IDENTITY, 1, "regression", True),
        (IDENTITY, 1, "multi_label_classification", False),
        (SIGMOID, 1, "multi_label_classification", True),
        (SIGMOID, 1, "regression", False),
        # Logits have the order of every probability
        (IDENTITY, 3, "multi_label_classification", True),
        (SIGMOID, 3, "multi_label_classification", True),
        (SIGMOID, 3, "single_label_classification", False),
    ],
)
def test_a_problem_type_must_agree_with_the_activation(
    activation: str, labels: int, kind: str, agrees: bool, make_checkpoint: MakeCheckpoint
) -> None:
    folder = make_checkpoint("sequence_classification", tokenizer=False, n_layers=1, num_labels=labels)
    new_layout(folder, activation_fn=activation)
    write(folder / "config.json", read_config(folder) | {"problem_type": kind})
    if agrees:
        assert find(folder).configuration().problem_type == kind
        return
    with pytest.raises(
        ConfigurationError, match=f"problem_type '{kind}'.*activation is {activation}"
    ) as caught:
        find(folder).configuration()
    assert "remove the one that is wrong" in caught.value.hint


@pytest.mark.parametrize("activation", ["torch.nn.modules.activation.Tanh", "own.Sigmoid", 7])
def test_another_activation_is_refused_by_name(activation: object, make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("sequence_classification", tokenizer=False, n_layers=1, num_labels=1)
    new_layout(folder, activation_fn=activation)
    with pytest.raises(ConfigurationError, match=f"activation is {activation!r}"):
        load_checkpoint(folder)


def test_other_modules_and_prompts_are_refused(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("sequence_classification", tokenizer=False, n_layers=1, num_labels=1)
    new_layout(folder, default_prompt_name="query")
    with pytest.raises(CheckpointError, match="default_prompt_name 'query'"):
        find(folder)
    new_layout(folder)
    entries = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [*entries, {"type": MODELS + "Dense", "path": "1_Dense"}])
    with pytest.raises(CheckpointError, match="has the modules Transformer, Dense"):
        find(folder)
