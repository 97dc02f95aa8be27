"""Tokenizers that a text could keep busy for long are refused, and those of published models are not."""

import base64
import re

import pytest
import tokenizers
from distilforge.text import tokenizer_limits

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def problem_of_pattern(pattern: str) -> str:
    normalizer = {"type": "Replace", "pattern": {"Regex": pattern}, "content": "b"}
    return tokenizer_limits.problem({"normalizer": {"type": "Sequence", "normalizers": [normalizer]}})


@pytest.mark.parametrize(
    "pattern",
    [GPT2, " {2,}", r"\s+", r"[^\s\p{L}\p{N}]+", r"\p{N}{1,3}", r"\r\n|\r|\n", "a++", r"^ | ?\w+", ""],
)
def test_patterns_whose_time_is_in_proportion_to_a_text(pattern: str) -> None:
    assert problem_of_pattern(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("^(a+)+$", r"'\(' at character 2"),
        ("(?:a|a)*b", r"'\(' at character 1"),
        ("a+b", "goes on after an unlimited repetition"),
        (".*.*x", "goes on after an unlimited repetition"),
        ("a{2,}b", "goes on after an unlimited repetition"),
        ("a{2}+", r"'\+' at character 5"),
        ("[[a]b]", r"'\[' at character 1"),
        (r"a\1", r"'\\\\' at character 2"),
        ("a?" * 30 + "a" * 30, "more than 1000 steps"),
        ("a{1,50}b{1,50}c", "more than 1000 steps"),
        ("[" + r"\p{L}" * 200, "at character 1"),
    ],
)
def test_patterns_that_can_run_away(pattern: str, says: str) -> None:
    problem = problem_of_pattern(pattern)
    assert problem.startswith("the regular expression ")
    assert re.search(says, problem)


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "decoder"])
def test_patterns_are_found_in_every_part(part: str) -> None:
    assert "goes on" in tokenizer_limits.problem({part: [{"deeper": [{"Regex": "a+b"}]}]})


def test_words_that_wordpiece_may_split() -> None:
    assert tokenizer_limits.problem({"model": {"max_input_chars_per_word": 100}}) == ""
    assert "at most 256, found 60000" in tokenizer_limits.problem(
        {"model": {"max_input_chars_per_word": 60_000}}
    )


def test_replacements_that_double_a_text_again_and_again() -> None:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    assert tokenizer_limits.problem({"normalizer": {"normalizers": [step] * 6}}) == ""
    assert "more than 64 times as long" in tokenizer_limits.problem(
        {"normalizer": {"normalizers": [step] * 7}}
    )


EVERYWHERE = ("", "x*", "x?", "x{0,2}", "x{,2}", "ab|x*", "|ab", r"\b")
SOMEWHERE = ("a", "ab|c", "a+", "a{2}", r"[ab]c*", r"\bb")


@pytest.mark.parametrize("pattern", [*EVERYWHERE, *SOMEWHERE])
def test_what_is_found_between_characters_leaves_them_there(pattern: str) -> None:
    """A replacement for it makes the text longer, even one of a single character."""
    step = {"type": "Replace", "pattern": {"Regex": pattern}, "content": "y"}
    text = "d d d"
    grown = len(tokenizers.normalizers.Replace(tokenizers.Regex(pattern), "y").normalize_str(text))
    assert (grown > len(text)) is (pattern in EVERYWHERE)
    reason = tokenizer_limits.problem({"normalizer": {"normalizers": [step] * 7}})
    assert ("more than 64 times as long" in reason) is (pattern in EVERYWHERE)


def test_an_empty_text_to_replace_is_found_between_characters() -> None:
    step = {"type": "Replace", "pattern": {"String": ""}, "content": "x"}
    assert tokenizer_limits.problem({"normalizer": step}) == ""
    document = {"normalizer": {"type": "Sequence", "normalizers": [step] * 40}}
    assert "more than 64 times as long" in tokenizer_limits.problem(document)


def charsmap(*replacements: str) -> dict[str, str]:
    """SentencePiece's normalizer with these replacements, and an index of four bytes, which is not read here."""
    texts = b"".join(text.encode() + b"\0" for text in replacements)
    content = (4).to_bytes(4, "little") + b"\0" * 4 + texts
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    "normalizers",
    [
        [{"type": "ByteLevel"}] * 7,
        [{"type": "BertNormalizer"}] * 4,
        [charsmap("a", "b" * 65)],
        [charsmap("aa")] * 8,
        [{"type": "NFKD"}, {"type": "Replace", "pattern": {"String": "a"}, "content": "\ufdfa" * 4}],
    ],
)
def test_normalizers_that_make_a_text_much_longer(normalizers: list[object]) -> None:
    document = {"normalizer": {"type": "Sequence", "normalizers": normalizers}}
    assert "its normalizers can make a text more than 64 times as long" in tokenizer_limits.problem(document)


def test_bytes_that_become_characters_again_and_again_before_words_are_split() -> None:
    document = {"pre_tokenizer": {"pretokenizers": [{"type": "ByteLevel"}] * 7}}
    assert "more than 64 times as long" in tokenizer_limits.problem(document)


@pytest.mark.parametrize(
    "document",
    [
        {"normalizer": {"type": "BertNormalizer"}},
        {
            "normalizer": {"type": "NFC"},
            **{part: {"type": "ByteLevel"} for part in ("pre_tokenizer", "decoder")},
        },
        # ALBERT's and XLNet's
        {"normalizer": {"normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}, charsmap("\u0635" * 18)]}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "no base64"}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}},
    ],
)
def test_normalizers_of_published_models_and_damaged_tables(document: object) -> None:
    assert tokenizer_limits.problem(document) == ""


@pytest.mark.parametrize("name", ["continuing_subword_prefix", "end_of_word_suffix"])
def test_what_marks_pieces_of_words(name: str) -> None:
    assert tokenizer_limits.problem({"model": {name: "##"}}) == ""
    assert tokenizer_limits.problem({"model": {name: None}}) == ""
    assert f"the {name} '####" in tokenizer_limits.problem({"model": {name: "#" * 33}})


def test_too_many_parts_and_a_document_that_is_no_object() -> None:
    assert "301 parts" in tokenizer_limits.problem({"normalizer": {"normalizers": [{}] * 300}})
    assert "301 parts" in tokenizer_limits.problem({"post_processor": {"single": [{}] * 300}})
    assert tokenizer_limits.problem([]) == "it must be a JSON object"


def test_very_many_or_long_added_tokens() -> None:
    many: list[object] = [{"content": "a"}] * 50_001
    assert "50,001 added tokens" in tokenizer_limits.problem({"added_tokens": many})
    assert tokenizer_limits.problem({"added_tokens": many[1:]}) == ""
    long = [{"content": "a" * 600_000}, {"content": "b" * 600_000}]
    assert "1,200,000 characters" in tokenizer_limits.problem({"added_tokens": long})
    assert tokenizer_limits.problem({"added_tokens": long[:1]}) == ""


@pytest.mark.parametrize("tokens", [None, 7, {}, [7], [{}], [{"content": 7}]])
def test_added_tokens_of_another_type_are_left_to_the_library(tokens: object) -> None:
    assert tokenizer_limits.problem({"added_tokens": tokens}) == ""


def test_pieces_of_unigram() -> None:
    def vocabulary(*pieces: str) -> dict[str, object]:
        return {"model": {"type": "Unigram", "vocab": [[piece, -1.0] for piece in pieces]}}

    assert tokenizer_limits.problem(vocabulary("a", "\u2581internationalization", "a" * 256)) == ""
    assert "has 257 characters; at most 256" in tokenizer_limits.problem(vocabulary("a", "b" * 257))


@pytest.mark.parametrize("flag", ["lstrip", "rstrip"])
def test_added_tokens_of_white_space_that_take_more_of_it(flag: str) -> None:
    def added(content: str, **flags: bool) -> dict[str, object]:
        return {"added_tokens": [{"id": 5, "content": content, **flags}]}

    assert tokenizer_limits.problem(added("[MASK]", **{flag: True})) == ""
    assert tokenizer_limits.problem(added("  ", **{flag: False})) == ""
    for content in (" ", "\t\u2003"):
        assert "is white space and takes" in tokenizer_limits.problem(added(content, **{flag: True}))
