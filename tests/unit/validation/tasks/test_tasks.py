"""Tasks are found by their modules."""

from pathlib import Path

import pytest

from validation import tasks
from validation.errors import DataError


def test_a_module_without_a_task_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_up_task.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    tasks.names.cache_clear()
    try:
        with pytest.raises(TypeError, match=r"made_up_task must define one subclass of Task, found none$"):
            tasks.find("made_up_task")
    finally:
        tasks.names.cache_clear()


def test_an_unknown_head_names_the_nearest() -> None:
    with pytest.raises(DataError, match="'masked_lmm' cannot be validated") as raised:
        tasks.find("masked_lmm")
    assert raised.value.hint == "did you mean 'masked_lm'?"
