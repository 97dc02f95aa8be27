"""Random Unicode gets the same tokens from a release as from AutoTokenizer of transformers, for every class."""

import json
from functools import cache
from pathlib import Path

import pytest
import tokenizers
import transformers
from distilforge.tokenizer import Text, Tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from model_src.folder import CheckpointFolder
from pipeline.release import tokenizer
from tests.conftest import VOCABULARY, write_tokenizer

ADDED = ("<new>", "</new>", "[E1]", "New York", "caf\u00e9")
PIECES = (
    *VOCABULARY,
    "\u00e9",
    "\u00c9",
    "##\u0301",
    "\u597d",
    "##\u597d",
    "\u0130",
    "i",
    "\u00df",
    "\u03c3",
    "##\u03c2",
)
SIZE = 1_000
WORD_PIECE = ("DistilBert", "Bert", "ConvBert", "Electra", "LayoutLM", "Lxmert", "MobileBert", "SqueezeBert")
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"do_lower_case": False},
    {"strip_accents": True, "do_lower_case": False},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False, "truncation_side": "left"},
)
CHARACTERS = st.characters(exclude_categories=["Cs"])  # half characters are not text
PARTS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.sampled_from(
        [
            *ADDED,
            *VOCABULARY[:5],
            "\u0130",
            "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
            "e\u0301",
            "a" * 101,
        ]
    ),
    st.sampled_from(
        [" ", "  ", "\t", "\n", "\0", "\u200d", "\u3000", "\ufeff", "\U0001f468\u200d\U0001f469"]
    ),
)
SINGLE = st.lists(PARTS, max_size=10).map("".join)
TEXTS = st.one_of(SINGLE, st.tuples(SINGLE, SINGLE))


class Pair:
    """The tokenizer of a release, and that of transformers for the same checkpoint."""

    def __init__(self, checkpoint: Path, release: Path) -> None:
        (checkpoint / "config.json").write_text('{"model_type": "distilbert"}')
        self.oracle = transformers.AutoTokenizer.from_pretrained(checkpoint)
        release.mkdir()
        tokenizer.write(CheckpointFolder(path=checkpoint, weights=()), release, vocab_size=SIZE, longest=64)
        self.release = Tokenizer(release)

    def check(self, text: Text) -> None:
        """Compare ids, offsets, and both after a cut, and the text that the ids are decoded to."""
        # In lists, since transformers takes a pair alone whose second text is empty for a single text
        first, second = ([text], None) if isinstance(text, str) else ([text[0]], [text[1]])
        expected = self.oracle(first, second, return_offsets_mapping=True)
        encoding = self.release.encode([text])[0]
        assert [encoding.ids] == expected["input_ids"]
        assert [encoding.offsets] == expected["offset_mapping"]
        cut = self.oracle(first, second, truncation=True, max_length=7, return_offsets_mapping=True)
        truncated = self.release.truncated(text, 7)
        assert [truncated.ids] == cut["input_ids"]
        assert [truncated.offsets] == cut["offset_mapping"]
        for skip in (True, False):
            assert self.release.decode(encoding.ids, skip_special_tokens=skip) == self.oracle.decode(
                encoding.ids, skip_special_tokens=skip
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@cache
def word_piece(folder: Path, model: str, number: int, *, from_vocabulary: bool) -> Pair:
    name = f"{model}-{number}-{from_vocabulary}"
    checkpoint = folder / name
    checkpoint.mkdir()
    write_tokenizer(checkpoint, PIECES)
    path = checkpoint / "tokenizer_config.json"
    values = json.loads(path.read_text()) | SETTINGS[number] | {"tokenizer_class": f"{model}Tokenizer"}
    path.write_text(json.dumps(values))
    loaded = transformers.AutoTokenizer.from_pretrained(checkpoint)
    loaded.add_tokens([ADDED[0], tokenizers.AddedToken(ADDED[3], single_word=True, normalized=True)])
    loaded.add_tokens([tokenizers.AddedToken(ADDED[4], rstrip=True, normalized=False)])
    loaded.add_special_tokens({"additional_special_tokens": [ADDED[2], ADDED[1]]})
    loaded.save_pretrained(checkpoint)
    if from_vocabulary:
        (checkpoint / "tokenizer.json").unlink()
    return Pair(checkpoint, folder / f"{name}-release")


@settings(max_examples=150, deadline=None)
@given(
    text=TEXTS,
    model=st.sampled_from(WORD_PIECE),
    number=st.integers(0, len(SETTINGS) - 1),
    from_vocabulary=st.booleans(),
)
def test_wordpiece_classes(folder: Path, text: Text, model: str, number: int, from_vocabulary: bool) -> None:
    word_piece(folder, model, number, from_vocabulary=from_vocabulary).check(text)


@cache
def other_model(folder: Path, kind: str) -> Pair:
    checkpoint = folder / kind
    checkpoint.mkdir()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = {piece: index for index, piece in enumerate(dict.fromkeys([*special, *VOCABULARY]))}
    if kind == "unigram":
        scores = [(piece.replace("##", ""), -float(index)) for piece, index in pieces.items()]
        made = tokenizers.Tokenizer(
            models.Unigram([*scores, ("\u2581", -3.0)], unk_id=pieces["<unk>"], byte_fallback=False)
        )
        made.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]
        )
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
    else:
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        vocabulary = {piece: index for index, piece in enumerate([*special, *sorted(alphabet), "th", "the"])}
        made = tokenizers.Tokenizer(models.BPE(vocabulary, [("t", "h"), ("th", "e")]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "prefixed bytes")
        made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>"}
    loaded = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        **names,
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        add_prefix_space=kind == "prefixed bytes",
    )
    loaded.add_tokens(list(ADDED[:2]))
    loaded.save_pretrained(checkpoint)
    return Pair(checkpoint, folder / f"{kind}-release")


@pytest.mark.parametrize("kind", ["unigram", "bytes", "prefixed bytes"])
@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_classes_that_take_tokenizer_json_as_it_is(folder: Path, kind: str, text: Text) -> None:
    other_model(folder, kind).check(text)
