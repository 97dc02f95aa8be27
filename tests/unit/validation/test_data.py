"""Evaluation data: every schema reads, and what does not fit is named with file, line, field and value."""

import gzip
import json
from pathlib import Path

import pytest
from distilforge.tokenizer import Tokenizer

import validation
from tests.conftest import DEMO_HEADS
from tests.runtime_release import published, read_manifest
from validation import data, tasks
from validation.data import check_enough, demo_texts, load
from validation.errors import DataError
from validation.tasks.base import ReleaseReader
from validation.validate import encode_evaluation

LABELS = ("negative", "neutral", "positive")
GOOD: dict[str, dict[str, object]] = {
    "features": {"text": "a film", "match": "a movie"},
    "masked_lm": {"text": "a [MASK] film", "targets": ["good"]},
    "sequence_classification": {"text": "a film", "label": "neutral"},
    "token_classification": {"tokens": ["a", "film"], "labels": ["negative", "positive"]},
    "question_answering": {
        "question": "what",
        "context": "a film",
        "answers": [{"text": "film", "start": 2}],
    },
    "multiple_choice": {"context": "a", "choices": ["film", "dog"], "label": 1},
}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "data.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def refusal(path: Path, head: str, problem_type: str | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        load(path, head, LABELS, problem_type=problem_type)
    return caught.value


@pytest.mark.parametrize("head", sorted(GOOD))
def test_every_head_reads_its_schema_and_keeps_places(head: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD[head], "", "   ", GOOD[head])
    assert [example.place for example in load(path, head, LABELS)] == [f"{path}:1", f"{path}:4"]


def test_every_head_has_a_schema_here() -> None:
    assert sorted(GOOD) == list(tasks.names())


@pytest.mark.parametrize("head", DEMO_HEADS)
def test_the_demo_data_of_every_head_reads(head: str) -> None:
    path = demo_texts(head, "evaluation")
    assert path is not None
    assert len(load(path, head, LABELS, labelled=False)) >= 1500


def test_gzip_byte_order_mark_and_carriage_returns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    line = json.dumps(GOOD["sequence_classification"])
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + f"{line}\r\n{line}\r\n".encode()))
    assert len(load(path, "sequence_classification", LABELS)) == 2


@pytest.mark.parametrize(
    ("written", "head"),
    [(written, head) for written in GOOD for head in GOOD if written != head],
)
def test_data_of_another_head_is_recognised(written: str, head: str, tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD[written]), head)
    assert error.message.startswith(f"{tmp_path / 'data.jsonl'}:1: looks like data of the head {written!r}")
    assert repr(head) in error.message


@pytest.mark.parametrize(
    ("head", "changes", "message"),
    [
        ("sequence_classification", {"label": "positiv"}, "unknown label 'positiv'"),
        ("sequence_classification", {"label": None}, "one label's name or index, found None"),
        ("sequence_classification", {"label": 3}, "a whole number from 0 to 2, found 3"),
        ("sequence_classification", {"label": 1.5}, "one label's name or index, found 1.5"),
        ("sequence_classification", {"label": ["positive"]}, "one label's name or index"),
        (
            "sequence_classification",
            {"text": "  "},
            "field 'text' must be text that is not blank, found '  '",
        ),
        ("sequence_classification", {"text": 7}, "field 'text' must be text that is not blank, found 7"),
        ("token_classification", {"labels": ["positive"]}, "has 2 tokens and 1 labels"),
        ("token_classification", {"labels": ["positive", "B-DOG"]}, "unknown label 'B-DOG'"),
        ("token_classification", {"labels": ["positive", -100]}, "labels[1] is -100"),
        ("token_classification", {"labels": "positive"}, "a list with a label for each token"),
        ("token_classification", {"tokens": ["two words", "x"]}, "one word, without spaces"),
        ("question_answering", {"answers": [{"text": "film", "start": 0}]}, "'a fi'"),
        ("question_answering", {"answers": [{"text": "film", "start": 99}]}, "from 0 to 5, found 99"),
        ("question_answering", {"answers": "film"}, "a list of"),
        ("multiple_choice", {"choices": ["film"]}, "a list of at least 2 texts"),
        ("multiple_choice", {"label": 2}, "a whole number from 0 to 1, found 2"),
        ("multiple_choice", {"label": True}, "found True"),
        ("masked_lm", {"targets": ["good", "bad"]}, "has 1 [MASK] and 2 targets"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    head: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    error = refusal(write(tmp_path, GOOD[head], GOOD[head] | changes), head)
    assert error.message.startswith(f"{tmp_path / 'data.jsonl'}:2: ")
    assert message in error.message


def test_an_unknown_label_lists_the_labels_and_names_the_nearest(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, {"text": "a", "label": "positiv"}), "sequence_classification")
    assert "negative, neutral, positive" in error.message
    assert error.hint == "did you mean 'positive'?"


def test_several_labels_and_numbers_are_read_for_models_that_give_them(tmp_path: Path) -> None:
    several = write(tmp_path, {"text": "a", "label": ["positive", "negative"]}, {"text": "b", "label": []})
    head = "sequence_classification"
    first, second = load(several, head, LABELS, problem_type="multi_label_classification")
    assert (getattr(first, "truth", None), getattr(second, "truth", None)) == ((1, 0, 1), (0, 0, 0))
    (number,) = load(write(tmp_path, {"text": "a", "label": 2.5}), head, ("score",))
    assert getattr(number, "truth", None) == 2.5
    assert (
        "a list of labels" in refusal(write(tmp_path, GOOD[head]), head, "multi_label_classification").message
    )
    with pytest.raises(DataError, match="a finite number, found nan"):
        load(write(tmp_path, '{"text": "a", "label": NaN}'), head, ("score",))


@pytest.mark.parametrize(
    ("label", "truth"),
    [
        (["positive", "negative"], (1, 0, 1)),
        ([2, 0], (1, 0, 1)),
        ([1, 0, 1], (1, 0, 1)),
        ([1.0, 0.0, 1.0], (1, 0, 1)),
        ([True, False, True], (1, 0, 1)),
        ([0, 0, 0], (0, 0, 0)),
        ([], (0, 0, 0)),
        ([1], (0, 1, 0)),
        (["neutral", 2], (0, 1, 1)),
    ],
)
def test_several_labels_are_names_indices_or_a_number_for_each(
    label: list[object], truth: tuple[int, ...], tmp_path: Path
) -> None:
    (example,) = load(
        write(tmp_path, {"text": "a", "label": label}),
        "sequence_classification",
        LABELS,
        problem_type="multi_label_classification",
    )
    assert getattr(example, "truth", None) == truth


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([3], r"'label\[0\]' must be a label's name, or a whole number from 0 to 2, found 3"),
        ([0, 0, 1, 0], r"each once, or of a 0 or 1 for each of the model's 3 labels, found \[0, 0, 1, 0\]"),
        ([1, 1], r"each once, or of a 0 or 1 for each of the model's 3 labels, found \[1, 1\]"),
        ([0, 0.5, 1], r"'label\[1\]' must be one label's name or index, found 0.5"),
        (["positiv"], r"'label\[0\]' has the unknown label 'positiv'"),
        ("positive", "a list of labels or of 3 numbers 0 and 1"),
    ],
)
def test_several_labels_that_do_not_fit_are_named(label: object, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "label": label})
    with pytest.raises(DataError, match=message):
        load(path, "sequence_classification", LABELS, problem_type="multi_label_classification")


def test_a_number_that_is_a_name_and_another_index_is_refused(tmp_path: Path) -> None:
    head, stars = "sequence_classification", ("1", "2", "3")
    for number in (1, 3):
        with pytest.raises(
            DataError, match=f"the label called '{number}' has the index {number - 1}"
        ) as caught:
            load(write(tmp_path, {"text": "a", "label": number}), head, stars)
        assert f'write "{number}"' in caught.value.hint
    named, indexed = load(
        write(tmp_path, {"text": "a", "label": "3"}, {"text": "a", "label": 0}), head, stars
    )
    assert (getattr(named, "truth", None), getattr(indexed, "truth", None)) == ((0, 0, 1), (1, 0, 0))
    (same,) = load(write(tmp_path, {"text": "a", "label": 1}), head, ("0", "1"))
    assert getattr(same, "truth", None) == (0, 1)


@pytest.mark.parametrize("head", sorted(head for head in GOOD if tasks.find(head).truths))
def test_a_lack_of_labels_is_named(head: str, tmp_path: Path) -> None:
    (label,) = tasks.find(head).truths
    unlabelled = {name: value for name, value in GOOD[head].items() if name != label}
    error = refusal(write(tmp_path, GOOD[head], unlabelled), head)
    assert f":2: lacks the field '{label}'" in error.message


def test_words_may_have_indices_of_labels(tmp_path: Path) -> None:
    (example,) = load(
        write(tmp_path, GOOD["token_classification"] | {"labels": [0, "positive"]}),
        "token_classification",
        LABELS,
    )
    assert getattr(example, "labels", None) == (0, 2)


@pytest.mark.parametrize("head", sorted(GOOD))
def test_calibration_data_need_no_labels(head: str, tmp_path: Path) -> None:
    truths = tasks.find(head).truths
    assert truths <= tasks.find(head).required
    texts = {field: value for field, value in GOOD[head].items() if field not in truths}
    assert len(load(write(tmp_path, texts, GOOD[head]), head, (), labelled=False)) == 2
    if truths:
        with pytest.raises(DataError):
            load(write(tmp_path, texts), head, LABELS)


@pytest.mark.parametrize(
    ("written", "head"),
    [
        (written, head)
        for written in GOOD
        for head in GOOD
        # Texts with or without matches are texts for every head that reads one text
        if written != head and not (written == "features" and tasks.find(head).required >= {"text"})
    ],
)
def test_calibration_data_of_another_head_are_recognised(written: str, head: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"looks like data of the head '{written}'"):
        load(write(tmp_path, GOOD[written]), head, LABELS, labelled=False)


def test_a_misspelt_field_is_pointed_out(tmp_path: Path) -> None:
    head = "sequence_classification"
    error = refusal(write(tmp_path, GOOD[head] | {"text_pairs": "b"}), head)
    assert "unknown field 'text_pairs'" in error.message
    assert error.hint == "did you mean 'text_pair'?"
    assert len(load(write(tmp_path, GOOD[head] | {"id": 7}), head, LABELS)) == 1


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, {"context": "a"}), "multiple_choice")
    assert "lacks the field 'choices'; it has 'context'" in error.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: it does not hold any example"),
        (b"\n \n", "is empty: it does not hold any example"),
        (b'{"text": "a", "label": 1}\n{"text"', ":2: not JSON"),
        (b'["a"]', ":1: must be a JSON object, found ['a']"),
        (b'{"text": "a", "label": 1}\n{"text": "\xff"}', ":2: not UTF-8: found the byte b'\\xff'"),
        (b"\x1f\x8b\x08broken", "is damaged gzip"),
        (b'{"text": ' + b"[" * 100_000, ":1: not JSON that can be read: it is nested deeper than 64 levels"),
        (b'{"text": "a", "label": ' + b"1" * 5000 + b"}", ":1: not JSON that can be read"),
        (
            b'{"text": "a", "label": 1}\n{"text": "a", "text": "b", "label": 1}',
            ":2: not JSON that can be read: an object has the name 'text' more than once",
        ),
        (
            b'{"text": "a", "label": [{"x": 1, "x": 2}]}',
            ":1: not JSON that can be read: an object has the name 'x'",
        ),
        (b'{"text": "\\ud800", "label": 1}', ":1: not Unicode"),
        (b'{"text": "' + b"a" * (4 << 20) + b'"}', "a line may have at most 4194304"),
    ],
)
def test_a_file_that_is_not_jsonl_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    assert message in refusal(path, "sequence_classification").message


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        (b"PAR1\x15\x04", "is a Parquet file; data must be JSON Lines", "pandas.read_parquet(path).to_json("),
        (b"PK\x03\x04\x14", "is a zip archive; data must be JSON Lines", "unpack it"),
        (b"\x28\xb5\x2f\xfd\x04", "is packed with zstd; data must be JSON Lines", "zstd -d"),
        (b"text,label\na,1\n", ":1: not JSON", "if it is CSV: pandas.read_csv(path).to_json("),
        (b'[{"text": "a", "label": 1}]', ":1: must be a JSON object", "jq -c '.[]' data.json > data.jsonl"),
        (b'[\n{"text": "a", "label": 1}\n]', ":1: not JSON", "jq -c '.[]' data.json > data.jsonl"),
        (b'{\n"text": "a"\n}', ":1: not JSON", "jq -c . data.json > data.jsonl"),
        (b'{"text": "a", "label": 1} {"text": "b"}', ":1: not JSON", "jq -c . data.json > data.jsonl"),
        (b"{'text': 'a', 'label': 1}", ":1: not JSON", "json.dumps(example)"),
        (b'{"text": "a", "label": 1,}', ":1: not JSON", "json.dumps(example)"),
        (b'{"text": "a", "label": 1}\n[1]', ":2: must be a JSON object", "the schemas of all heads"),
    ],
    ids=[
        "Parquet",
        "zip",
        "zstd",
        "CSV",
        "array",
        "array on lines",
        "object on lines",
        "objects on a line",
        "single quotes",
        "trailing comma",
        "a later line",
    ],
)
def test_another_format_is_refused_with_the_way_to_json_lines(
    content: bytes, says: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    error = refusal(path, "sequence_classification")
    assert says in error.message
    assert hint in error.hint


def test_gzip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_BYTES", 1 << 20)
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n" * (8 << 20)))
    assert "holds more than 1 MiB of text" in refusal(path, "features").message
    path.write_bytes(b"\n" * (2 << 20))
    assert "holds more than 1 MiB of text" in refusal(path, "features").message


def test_more_examples_than_a_file_may_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MOST_EXAMPLES", 2)
    assert len(load(write(tmp_path, *[GOOD["features"]] * 2), "features", ())) == 2
    error = refusal(write(tmp_path, *[GOOD["features"]] * 3), "features")
    assert ":3: is one example more than the 2 that a file may have" in error.message


@pytest.mark.parametrize(
    "number",
    ["1" + "0" * 400, "1.1e38", "-1e155", "1e307", "1.7976931348623157e308"],
    ids=lambda text: text[:9],
)
def test_a_number_beyond_those_of_models_is_refused(number: str, tmp_path: Path) -> None:
    path = write(tmp_path, '{"text": "a", "label": 1e38}', f'{{"text": "b", "label": {number}}}')
    with pytest.raises(
        DataError, match=r":2: field 'label' must be a number from -1e\+38 to 1e\+38, found -?1[.e0]"
    ) as caught:
        load(path, "sequence_classification", ("score",))
    assert "scale the labels" in caught.value.hint


@pytest.mark.parametrize("kept", [2, 10, 30, -9, -4, -1])
def test_a_gzip_file_that_was_cut_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    lines = "".join(f'{{"text": "film {number}", "label": 1}}\n' for number in range(50))
    path.write_bytes(gzip.compress(lines.encode())[:kept])
    assert "is damaged gzip" in refusal(path, "sequence_classification").message


@pytest.mark.parametrize("place", [12, 40, -6])
def test_a_gzip_file_with_a_flipped_bit_is_refused(place: int, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    lines = "".join(f'{{"text": "film {number}", "label": 1}}\n' for number in range(50))
    packed = bytearray(gzip.compress(lines.encode()))
    packed[place] ^= 0x10
    path.write_bytes(packed)
    assert "is damaged gzip" in refusal(path, "sequence_classification").message


def test_plain_data_with_the_name_of_gzip_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    path.write_text(json.dumps(GOOD["features"]), encoding="utf-8")
    assert len(load(path, "features", ())) == 1


def test_a_line_that_is_there_twice_is_two_examples(tmp_path: Path) -> None:
    line = GOOD["sequence_classification"]
    examples = load(write(tmp_path, line, line), "sequence_classification", LABELS)
    assert [example.place.rpartition(":")[2] for example in examples] == ["1", "2"]


def test_line_separators_inside_a_text_do_not_end_the_line(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0bfour"
    path = write(tmp_path, json.dumps({"text": text}, ensure_ascii=False), GOOD["features"])
    first, second = load(path, "features", ())
    assert getattr(first, "text", None) == text
    assert second.place.endswith(":2")


def test_labels_are_named_or_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "label": "positive"}, {"text": "a", "label": 2})
    by_name, by_number = load(path, "sequence_classification", LABELS)
    assert getattr(by_name, "truth", None) == getattr(by_number, "truth", None) == (0, 0, 1)


def test_labels_of_another_model_are_not_read_where_labels_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "label": "of another model"})
    (example,) = load(path, "sequence_classification", LABELS, labelled=False)
    assert getattr(example, "truth", None) == ()


def test_an_answer_may_stand_anywhere_in_the_context(tmp_path: Path) -> None:
    context = "naïve café, naïve"
    answers = [{"text": "naïve", "start": 0}, {"text": "naïve", "start": 12}, {"text": "café", "start": 6}]
    path = write(tmp_path, {"question": "what", "context": context, "answers": answers})
    (example,) = load(path, "question_answering", ())
    assert getattr(example, "answers", None) == ("naïve", "naïve", "café")


def test_one_example_is_too_few_and_two_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD["features"], GOOD["features"])
    examples = load(path, "features", ())
    check_enough(path, examples)
    with pytest.raises(DataError, match="holds 1 example; an interval needs at least 2"):
        check_enough(path, examples[:1])


def test_examples_that_are_all_the_same_are_counted(tmp_path: Path) -> None:
    release = published("features", ()).release
    reader = ReleaseReader(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)
    with pytest.raises(
        DataError, match="holds 400 examples, but only 1 different one: the model reads the same"
    ):
        encode_evaluation(write(tmp_path, *[GOOD["features"]] * 400), reader)


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.jsonl", "features").message
    assert "cannot be read" in refusal(tmp_path, "features").message


def test_an_unknown_head_names_the_nearest(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD["features"]), "feature")
    assert error.hint == "did you mean 'features'?"


def test_the_lines_in_the_readme_are_examples_of_every_head(tmp_path: Path) -> None:
    readme = Path(validation.__file__).with_name("README.md").read_text(encoding="utf-8")
    lines = readme.partition("```jsonl\n")[2].partition("```")[0].splitlines()
    heads = (
        "sequence_classification",
        "token_classification",
        "question_answering",
        "multiple_choice",
        "masked_lm",
        "features",
    )
    for head, line in zip(heads, lines, strict=True):
        assert len(load(write(tmp_path, line), head, ("positive", "CAP", "O", "PERIOD"))) == 1
        assert f"| `{head}` |" in readme


def test_a_file_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Blank lines too: packed, a billion of them are a small file."""
    monkeypatch.setattr(data, "MOST_LINES", 3)
    path = write(tmp_path, GOOD["features"])
    path.write_text(path.read_text(encoding="utf-8") + "\n" * 1, encoding="utf-8")
    assert load(path, "features", ())
    path.write_text(path.read_text(encoding="utf-8") + "\n" * 3, encoding="utf-8")
    error = refusal(path, "features")
    assert "more than 3 lines" in error.message
