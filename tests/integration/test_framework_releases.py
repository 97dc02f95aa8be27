"""A checkpoint gives the same release whether its weights are in PyTorch's, TensorFlow's or Flax's file."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from distilforge.release import MANIFEST

from pipeline.build import build
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.store import digests
from tests.conftest import SPECIAL, TRANSFORMERS_HEADS, write_tokenizer
from tests.integration.conftest import QUICK, Listener

# Random checkpoints of all heads, which PyTorch's, TensorFlow's and Flax's own classes have written
FIXTURES = Path(__file__).parents[1] / "framework_checkpoints"
FP32 = VariantName(target="onnxruntime-cpu", precision="fp32")
FILES = {"pytorch": "model.safetensors", "tensorflow": "tf_model.h5.gz", "flax": "flax_model.msgpack.gz"}


def checkpoint(head: str, framework: str, folder: Path) -> Path:
    """The random checkpoint of `head` in the file of `framework`, with a tokenizer."""
    folder.mkdir()
    shutil.copyfile(FIXTURES / head / "config.json", folder / "config.json")
    source = FIXTURES / head / FILES[framework]
    content = source.read_bytes()
    name = source.name.removesuffix(".gz")
    (folder / name).write_bytes(gzip.decompress(content) if name != source.name else content)
    # config.json has 12 embeddings
    write_tokenizer(folder, (*SPECIAL, *"abcdefg"))
    return folder


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
def test_every_framework_gives_the_same_release(head: str, tmp_path: Path) -> None:
    digests_of, manifests = {}, {}
    for framework in FILES:
        folder = checkpoint(head, framework, tmp_path / framework)
        recipe = Recipe(name=head, checkpoint=str(folder), variants=(FP32,), gates=QUICK)
        # Everything up to the files of the release; validation, cards and signatures come after it
        built = build(recipe, tmp_path / "artifacts" / framework, Listener(), until="assemble").folder
        digests_of[framework] = {name: record.sha256 for name, record in digests.record(built).items()}
        manifests[framework] = json.loads((built / MANIFEST).read_text(encoding="utf-8"))
    expected = digests_of["pytorch"]
    assert {"onnx/model.onnx", "config.json", "tokenizer.json"} < expected.keys()
    for framework in FILES:
        # manifest.json alone differs: it says of which checkpoint files the release was made, and when
        differing = {name for name in expected if digests_of[framework].get(name) != expected[name]}
        assert differing <= {MANIFEST}
        assert digests_of[framework].keys() == expected.keys()
        provenance = manifests[framework].pop("provenance")
        assert provenance["recipe_sha256"]
    assert manifests["tensorflow"] == manifests["pytorch"]
    assert manifests["flax"] == manifests["pytorch"]
