"""Reading one line of data: what fits is given back, and what does not is named with its place and value."""

from pathlib import Path

import pytest

from validation.errors import DataError
from validation.tasks.record import Record, listed

PATH = Path("data.jsonl")


def record(**fields: object) -> Record:
    return Record(fields, PATH, 7)


def test_values_that_fit_are_given_back() -> None:
    line = record(text=" a film ", texts=["a", "b"], label=1, score=2, nothing=None)
    assert line.place == "data.jsonl:7"
    assert line.text("text") == " a film "
    assert line.texts("texts", at_least=2) == ("a", "b")
    assert line.index("label", 2) == 1
    assert line.number("score") == 2.0
    assert (line.has("text"), line.has("nothing"), line.has("other")) == (True, False, False)
    assert (line.optional_text("text"), line.optional_text("nothing"), line.optional_text("other")) == (
        " a film ",
        None,
        None,
    )


@pytest.mark.parametrize("value", ["", "  ", "\t\n", None, 3, ["a"], {"text": "a"}, True])
def test_what_is_not_a_text_is_refused_with_its_value(value: object) -> None:
    with pytest.raises(DataError, match="must be text that is not blank") as caught:
        record(text=value).text("text")
    assert caught.value.message.startswith("data.jsonl:7: field 'text'")
    assert repr(value) in caught.value.message


@pytest.mark.parametrize("value", [-1, 3, 1.0, "1", True, None])
def test_what_is_not_an_index_is_refused_with_the_bound(value: object) -> None:
    with pytest.raises(DataError, match="a whole number from 0 to 2, found"):
        record(label=value).index("label", 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "1", True, None])
def test_what_is_not_a_finite_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="a finite number, found"):
        record(label=value).number("label")


@pytest.mark.parametrize(
    ("value", "read"), [(1e-37, 1e-37), (-1e-37, -1e-37), (1e-120, 0.0), (-1e-120, 0.0), (0, 0.0)]
)
def test_a_number_that_float32_cannot_tell_from_0_is_0(value: float, read: float) -> None:
    assert record(label=value).number("label") == read


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ab", "field 'texts' must be a list of at least 2 texts, found 'ab'"),
        (["a"], "field 'texts' must be a list of at least 2 texts, found ['a']"),
        (["a", " "], "field 'texts[1]' must be text that is not blank, found ' '"),
        ([1, "a"], "field 'texts[0]' must be text that is not blank, found 1"),
    ],
)
def test_the_entry_of_a_list_that_does_not_fit_is_named(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        record(texts=value).texts("texts", at_least=2)
    assert message in caught.value.message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataError, match=r"data\.jsonl:7: lacks the field 'label'"):
        record(text="a").value("label")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(DataError) as caught:
        record(label="x" * 10_000).number("label")
    assert len(caught.value.message) < 200


def test_an_unknown_label_lists_the_labels_and_suggests_the_nearest() -> None:
    labels = tuple(f"label {number}" for number in range(30))
    assert record().label("label", "label 7", labels) == 7
    with pytest.raises(DataError) as caught:
        record().label("label", "label 777", labels)
    assert "and 10 more" in caught.value.message
    assert caught.value.hint == "did you mean 'label 7'?"
    with pytest.raises(DataError) as caught:
        record().label("label", ["label 7"], ("yes", "no"))
    assert "['label 7']" in caught.value.message


@pytest.mark.parametrize(
    ("value", "labels", "hint"),
    [
        ("positive", ("NEGATIVE", "POSITIVE"), "did you mean 'POSITIVE'?"),
        ("STRASSE", ("weg", "straße"), "did you mean 'straße'?"),
        # Full-width letters, which are compatible with plain ones
        ("\uff30\uff2f\uff33", ("neg", "pos"), "did you mean 'pos'?"),
        # One composed and one decomposed é: no reader sees the difference
        (
            "cafe\u0301",
            ("cafe", "caf\u00e9"),
            "did you mean 'caf\u00e9'? The model writes it 'caf\\xe9', and the data 'cafe\\u0301'",
        ),
    ],
)
def test_a_label_that_differs_in_case_or_normal_form_is_suggested(
    value: str, labels: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        record().label("label", value, labels)
    assert caught.value.hint == hint


def test_names_beyond_the_most_are_counted() -> None:
    assert listed(("a", "b")) == "a, b"
    assert listed(("a", "b", "c"), most=2) == "a, b and 1 more"


@pytest.mark.parametrize(
    ("labels", "value", "message"),
    [
        (("A", "A", "B"), "A", "field 'label' has 'A', the name of labels 0 and 1"),
        (("A", "B", "A", "A"), "A", "field 'label' has 'A', the name of labels 0, 2 and 3"),
        # A number that stands for a name would otherwise be read as an index
        (("1", "1", "2"), 1, "field 'label' has '1', the name of labels 0 and 1"),
    ],
)
def test_the_name_of_several_labels_is_refused(labels: tuple[str, ...], value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        record().label("label", value, labels)
    assert message in caught.value.message
    with pytest.raises(DataError) as caught:
        record(label=[value, 2]).label_set("label", labels)
    assert message.replace("'label'", "'label[0]'") in caught.value.message


def test_labels_of_one_name_are_told_apart_by_their_index() -> None:
    assert [record().label("label", value, ("A", "A", "B")) for value in (0, 1, "B")] == [0, 1, 2]
    assert record(label=[1, "B"]).label_set("label", ("A", "A", "B")) == {1, 2}
    with pytest.raises(DataError) as caught:
        record().label("label", "A", ("A", "A", "B"))
    assert caught.value.hint == "give the index in place of the name"


@pytest.mark.parametrize("value", [["neg", "neg"], ["neg", 0], [0, "neg", "z"], [2, 2]])
def test_a_label_twice_is_refused_however_it_is_given(value: list[object]) -> None:
    with pytest.raises(DataError, match="must be a list of labels, each once, or of a 0 or 1 for each"):
        record(label=value).label_set("label", ("neg", "pos", "z"))
