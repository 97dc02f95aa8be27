"""Heads are found by their modules."""

from pathlib import Path

import pytest

from model_src import heads
from model_src.errors import ConfigurationError

TWO = """
from model_src.heads.base import Head


class First(Head):
    pass


class Second(Head):
    pass
"""


@pytest.mark.parametrize(
    ("content", "defined"), [("", "none"), (TWO, "First, Second")], ids=["no class", "two classes"]
)
def test_a_module_without_exactly_one_head_says_what_it_defines(
    content: str, defined: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"made_up_{defined[0]}.py").write_text(content, encoding="utf-8")
    monkeypatch.setattr(heads, "__path__", [*heads.__path__, str(tmp_path)])
    with pytest.raises(TypeError, match=f"must define one subclass of Head, found {defined}$"):
        heads.find(f"made_up_{defined[0]}")


def test_an_unknown_head_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="'masked_lmm'") as raised:
        heads.find("masked_lmm")
    assert raised.value.hint == "did you mean 'masked_lm'?"
