"""The oracle of token ids is the tokenizer that AutoTokenizer loads."""

import json
from pathlib import Path

import pytest
import transformers

from model_src.folder import CheckpointFolder
from tests.conftest import write_tokenizer
from validation.token_ids.oracle import Oracle, OracleError

CLASSES = ("DistilBert", "Bert", "Electra", "SqueezeBert", "PreTrained", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "distilbert"}')
    return tmp_path


def name_class(path: Path, name: str | None) -> None:
    values = json.loads(path.read_text())
    values.pop("tokenizer_class", None)
    path.write_text(json.dumps(values | ({} if name is None else {"tokenizer_class": name})))


@pytest.mark.parametrize("ending", ["Tokenizer", "TokenizerFast"])
@pytest.mark.parametrize("place", ["tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("model", CLASSES)
def test_the_class_is_that_of_auto_tokenizer(
    model: str | None, place: str, ending: str, folder: Path
) -> None:
    name_class(folder / "tokenizer_config.json", None)
    name_class(folder / place, None if model is None else f"{model}{ending}")
    if model == "PreTrained" and ending == "Tokenizer":
        name_class(folder / place, "PreTrainedTokenizerFast")
    expected = transformers.AutoTokenizer.from_pretrained(folder)
    oracle = Oracle(CheckpointFolder(path=folder, weights=()))
    assert type(oracle._tokenizer) is type(expected)
    assert oracle.added_tokens == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    (tokens,) = oracle.encode(["The [MASK] was good"])
    encoded = expected("The [MASK] was good", return_offsets_mapping=True)
    assert (list(tokens.ids), list(tokens.offsets)) == (encoded["input_ids"], encoded["offset_mapping"])


@pytest.mark.parametrize("name", ["TokenizersBackend", "AutoModel", "BertModel"])
def test_a_class_that_is_no_fast_tokenizer(name: str, folder: Path) -> None:
    name_class(folder / "tokenizer_config.json", name)
    with pytest.raises(OracleError, match=f"does not have the class {name}Fast"):
        Oracle(CheckpointFolder(path=folder, weights=()))


def test_warnings_of_transformers_are_kept_back_only_while_it_works(folder: Path) -> None:
    before = transformers.utils.logging.get_verbosity()
    Oracle(CheckpointFolder(path=folder, weights=())).encode(["a " * 600])
    assert transformers.utils.logging.get_verbosity() == before
