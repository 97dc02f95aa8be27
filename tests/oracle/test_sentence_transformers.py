"""Embeddings of sentence-transformers models: the release's against SentenceTransformer.encode."""

import json
from pathlib import Path

import distilforge
import numpy as np
import pytest
import torch
from distilforge import Features
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Normalize, Pooling

from model_src.checkpoint import load_checkpoint
from model_src.sentence.modules import POOLING_MODES
from pipeline.build import build
from pipeline.recipe.recipe import Recipe
from tests.conftest import MakeCheckpoint, save_checkpoint
from tests.integration.conftest import QUICK, Listener, write_evaluation
from tests.sentence_folders import add_modules, write

TEXTS = [
    "good movie",
    "The doctor was NOT in the hotel room, and the food was slow!",
    "",
    "a",
    "cat " * 30,
    "naïve café",
    "the [MASK] and the [SEP] of [UNK]",
]
# Float32 sums in another order, of embeddings whose values reach 10; a wrong pooling is off by more than 0.1
NEAR = 2e-5


def encode(model: SentenceTransformer, texts: list[str], **options: object) -> np.ndarray:
    return model.encode(texts, show_progress_bar=False, **options)


@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), ("mean", "cls", "max")])
def test_every_pooling_equals_the_library(
    modes: tuple[str, ...], make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    encoder = Transformer(str(make_checkpoint("features")), max_seq_length=24)
    width = 32 * len(modes)
    norm = LayerNorm(width)
    torch.nn.init.normal_(norm.norm.weight)
    torch.nn.init.normal_(norm.norm.bias)
    layers = [
        Pooling(32, pooling_mode=modes),
        norm,
        Dense(width, 8, activation_function=torch.nn.GELU()),
        Normalize(),
    ]
    for count in (1, 2, 3, 4):
        cut = 5 if count == 4 else None
        oracle = SentenceTransformer(modules=[encoder, *layers[:count]], truncate_dim=cut, device="cpu")
        folder = tmp_path / str(count)
        oracle.save(str(folder))
        model = load_checkpoint(folder).model
        features = oracle.tokenize(TEXTS)
        with torch.no_grad():
            _, embeddings = model(features["input_ids"], features["attention_mask"])
        np.testing.assert_allclose(embeddings.numpy(), encode(oracle, TEXTS), rtol=0, atol=NEAR)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the library saved: CLS pooling, three layers, prompts, at most 16 tokens, and 6 numbers kept."""
    root = tmp_path_factory.mktemp("saved")
    torch.manual_seed(20)
    encoder = Transformer(str(save_checkpoint("features", root / "encoder", n_layers=1)), max_seq_length=16)
    model = SentenceTransformer(
        modules=[encoder, Pooling(32, pooling_mode="cls"), Dense(32, 8), LayerNorm(8), Normalize()],
        prompts={"query": "the ", "other": "a dog and "},
        default_prompt_name="query",
        truncate_dim=6,
        device="cpu",
    )
    model.save(str(root / "model"))
    return root / "model"


@pytest.fixture(scope="module")
def release(saved: Path) -> Path:
    evaluation = write_evaluation("features", saved.parent)
    recipe = Recipe(name="embedding", checkpoint=str(saved), evaluation=evaluation, gates=QUICK)
    listener = Listener()
    folder = build(recipe, saved.parent / "artifacts", listener).folder
    assert any("modules.json" in note and "Dense (32 to 8, tanh)" in note for note in listener.notes)
    return folder


def test_a_release_answers_as_the_library(saved: Path, release: Path) -> None:
    oracle = SentenceTransformer(str(saved), device="cpu")
    session = distilforge.open(release, head=Features, threads=1)
    assert session.max_tokens == 16
    assert session.prompts == {"query": "the ", "document": "", "other": "a dog and "}
    for name in (None, "query", "document", "other"):
        expected = encode(oracle, TEXTS, prompt_name=name)
        np.testing.assert_allclose(session(TEXTS, prompt_name=name), expected, rtol=0, atol=NEAR)
    np.testing.assert_allclose(session(TEXTS[1]), encode(oracle, TEXTS)[1], rtol=0, atol=NEAR)
    with pytest.raises(distilforge.InputError, match="at most 16"):
        session(TEXTS[4], truncation="error")
    with pytest.raises(distilforge.InputError, match="no prompt called 'own'"):
        session("a", prompt_name="own")
    first = session("good movie", pooling="cls", prompt_name="document")
    assert first.shape == (32,)


def test_the_library_opens_the_release(saved: Path, release: Path) -> None:
    expected = encode(SentenceTransformer(str(saved), device="cpu"), TEXTS)
    opened = SentenceTransformer(
        str(release), backend="onnx", device="cpu", model_kwargs={"file_name": "onnx/model.onnx"}
    )
    np.testing.assert_allclose(encode(opened, TEXTS), expected, rtol=0, atol=NEAR)
    card = (release / "README.md").read_text(encoding="utf-8")
    assert "sentence_embedding" in card


def test_lower_case_and_the_layout_of_version_0(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    root = add_modules(tmp_path / "old", "Dense", "Normalize")
    entries = json.loads((root / "modules.json").read_text())
    entries[0] |= {"path": "0_Transformer"}
    write(root / "modules.json", entries)
    inner = make_checkpoint("features", folder=root / "0_Transformer", n_layers=1)
    settings = json.loads((inner / "tokenizer_config.json").read_text())
    write(inner / "tokenizer_config.json", settings | {"do_lower_case": False})
    tokenizer = json.loads((inner / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    write(inner / "tokenizer.json", tokenizer)
    write(inner / "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": True})
    evaluation = write_evaluation("features", tmp_path)
    recipe = Recipe(name="old", checkpoint=str(root), evaluation=evaluation, gates=QUICK)
    folder = build(recipe, tmp_path / "artifacts", Listener()).folder
    expected = encode(SentenceTransformer(str(root), device="cpu"), TEXTS)
    embeddings = distilforge.open(folder, head=Features, threads=1)(TEXTS)
    np.testing.assert_allclose(embeddings, expected, rtol=0, atol=NEAR)
