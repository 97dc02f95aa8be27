"""The tokenizer's files of a release, and texts that are encoded and decoded with them."""

import json
from collections.abc import Sequence
from pathlib import Path

from distilforge import DistilforgeError
from distilforge.contents import TOKENIZER_FILES
from distilforge.tokenizer import Text, Tokenizer

from tests.fuzz import samples
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use

_TEXTS: tuple[Text, ...] = (
    "The film was unreadably good, café \u0130 \u597d :100: [MASK] <s>",
    "",
    "a" * 60_000,
    " " * 5_000 + "\x00\ufeff\u200d",
    ("who was good", "the doctor was, and the king " * 20),
)
_PIECES = {
    "<s>": 0,
    "<pad>": 1,
    "</s>": 2,
    "<unk>": 3,
    "<mask>": 4,
    "a": 5,
    "b": 6,
    "ab": 7,
    "\u2581": 8,
    "\u0120": 9,
}
_ADDED = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
# One of each kind of model, and most kinds of parts
_OTHERS = (
    {
        "model": {"type": "BPE", "vocab": _PIECES, "merges": [["a", "b"]], "unk_token": "<unk>", "byte_fallback": True},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True},
    },
    {
        "model": {"type": "Unigram", "vocab": [[piece, -1.5] for piece in _PIECES], "unk_id": 3},
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Strip", "strip_left": True, "strip_right": True},
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Fuse"}],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
        },
    },
    {
        "model": {"type": "WordLevel", "vocab": _PIECES, "unk_token": "<unk>"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "\\d{1,3}"}, "behavior": "Isolated", "invert": False},
                {"type": "Punctuation", "behavior": "Isolated"},
                {"type": "Digits", "individual_digits": True},
            ],
        },
    },
)  # fmt: skip


def _samples(folder: Path) -> Sequence[Input]:
    names = TOKENIZER_FILES[:3]
    others = [Input(name=TOKENIZER_FILES[0], content=json.dumps(_whole(parts)).encode()) for parts in _OTHERS]
    prompts = {
        "prompts": {"query": "query: "},
        "default_prompt_name": "query",
        "similarity_fn_name": "cosine",
    }
    settings = Input(name=TOKENIZER_FILES[3], content=json.dumps(prompts).encode())
    return (*samples.read(folder / samples.RELEASE, *names), *others, settings)


def _whole(parts: dict[str, object]) -> dict[str, object]:
    absent = dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    )
    added = [{"id": index, "content": piece, **_ADDED} for piece, index in list(_PIECES.items())[:5]]
    return {"version": "1.0", "added_tokens": added, **absent, **parts}


def _prepare(folder: Path, work: Path) -> Reader:
    own = {
        sample.name: sample.content for sample in samples.read(folder / samples.RELEASE, *TOKENIZER_FILES[:3])
    }

    def uses(value: Input) -> Sequence[Use]:
        contents = own | {value.name: value.content}
        return (
            *(lambda text=text: _use(Tokenizer(work, contents), text) for text in _TEXTS),
            lambda: Tokenizer(work, contents).encode(_TEXTS),
            lambda: Tokenizer(work, contents).windows("who", "the king " * 40, max_tokens=16, overlap=None),
        )

    return uses


def _use(tokenizer: Tokenizer, text: Text) -> None:
    encoding = tokenizer.encode([text])[0]
    ids, tokens = encoding.ids[:64], encoding.tokens[:64]
    tokenizer.decode(ids, skip_special_tokens=True)
    tokenizer.decode(ids, skip_special_tokens=False)
    tokenizer.join(tokens)
    tokenizer.truncated(text, 8)
    tokenizer.token(ids[0] if ids else 0)
    assert tokenizer.max_tokens > 0
    assert isinstance(tokenizer.marks_continuations, bool)


TARGET = Target(
    errors=(DistilforgeError,),
    samples=_samples,
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
