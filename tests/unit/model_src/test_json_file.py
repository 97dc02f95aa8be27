"""JSON that is written can be read again, whatever it holds."""

from pathlib import Path

import pytest

from model_src.json_file import read_json, write_json


@pytest.mark.parametrize("text", ["plain", "Ж \U0001f600", "half \ud800 of a pair", '"\\ud800"', "\udfff"])
def test_what_is_written_reads_the_same(text: str, tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    write_json(path, {text: [text]})
    assert read_json(path) == {text: [text]}
    assert ("Ж" in path.read_text(encoding="utf-8")) == ("Ж" in text)
