"""JSON that could fill the memory, or that readers understand differently, is refused with a ValueError."""

import json
import math

import pytest
from distilforge import json_text, limits


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "[{,"]}', "[]", "3", '"text"'])
def test_a_document_is_read_as_by_the_standard_library(text: str) -> None:
    assert json_text.parse(text) == json.loads(text)


def test_nan_and_infinity_are_read() -> None:
    value = json_text.parse("[NaN, Infinity]")
    assert isinstance(value, list)
    assert math.isnan(value[0])
    assert value[1] == math.inf


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("1" * 5000, "^a number has more than 4,300 digits$"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("[" * 65 + "]" * 65, "nested deeper than 64 levels"),
        ('[1, {"a": ' + "[" * 64 + "]" * 64 + "}]", "nested deeper than 64 levels"),
        ("[" + "0," * limits.MOST_JSON_VALUES + "0]", "more than 2,000,000 values"),
        ("[" + "[]," * limits.MOST_JSON_VALUES + "0]", "more than 2,000,000 values"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "an object has the name 'c' more than once"),
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_document(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        json_text.parse(text)


def test_the_deepest_document_is_read() -> None:
    json_text.parse("[" * limits.MOST_LEVELS + "]" * limits.MOST_LEVELS)


def test_many_names_with_one_twice_take_no_time() -> None:
    names = ", ".join(f'"{number}": 0' for number in range(100_000))
    with pytest.raises(ValueError, match="the name '99999' more than once"):
        json_text.parse(f'{{{names}, "99999": 1}}')


def test_names_may_repeat_where_the_caller_says_so() -> None:
    assert json_text.parse('{"a": 1, "a": 2}', unique_names=False) == {"a": 2}
