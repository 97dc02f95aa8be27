"""Prompts: read from sentence-transformers' settings, found by name, and put in front of texts."""

import pytest
from distilforge.errors import InputError
from distilforge.text.prompts import Prompts, prompted


def test_the_default_is_used_where_none_is_named() -> None:
    prompts = Prompts.from_settings(
        {"prompts": {"query": "find: ", "own": None}, "default_prompt_name": "query"}
    )
    assert prompts.texts == {"query": "find: ", "document": "", "own": ""}
    assert (prompts.find(None), prompts.find("document")) == ("find: ", "")


def test_without_a_default_nothing_is_added() -> None:
    assert Prompts.from_settings({"prompts": {"query": "find: "}}).find(None) == ""
    assert Prompts().find(None) == ""


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no prompt called 'qery'") as caught:
        Prompts.from_settings({}).find("qery")
    assert "did you mean 'query'?" in caught.value.hint
    with pytest.raises(InputError, match="no prompt called 'query'"):
        Prompts().find("query")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"prompts": ["find: "]}, "prompts must be an object of texts"),
        ({"prompts": {"query": 1}}, "prompts must be an object of texts"),
        ({"default_prompt_name": "own"}, "default_prompt_name is 'own'"),
        ({"default_prompt_name": 1}, "default_prompt_name is 1"),
    ],
)
def test_damaged_settings_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Prompts.from_settings(settings)


def test_of_a_pair_the_first_text_gets_it() -> None:
    assert prompted("text", "find: ") == "find: text"
    assert prompted(("one", "two"), "find: ") == ("find: one", "two")
