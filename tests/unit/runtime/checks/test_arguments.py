"""What applications pass to a session."""

import pytest
from distilforge.checks.arguments import MOST_TEXT_CHARACTERS, check_pair, check_string, check_texts
from distilforge.errors import InputError

LONGEST = "a" * MOST_TEXT_CHARACTERS


def test_the_longest_text_is_accepted() -> None:
    assert check_string(LONGEST, "input 0") == LONGEST
    assert check_pair((LONGEST, LONGEST), "input 0") == (LONGEST, LONGEST)


def test_a_longer_text_is_refused_before_it_is_tokenized() -> None:
    with pytest.raises(
        InputError, match=r"input 1 has 1,000,001 characters; a text may have at most 1,000,000"
    ):
        check_texts(["a", LONGEST + "a"])
    with pytest.raises(InputError, match=r"input 0\[1\] has 1,000,001 characters"):
        check_texts([("a", LONGEST + "a")])
