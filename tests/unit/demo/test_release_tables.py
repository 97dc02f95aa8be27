"""README.md has a row a release of what docs/measurements/releases.md has a row a variant of."""

from pathlib import Path

import pytest

from demo import release_tables
from demo.tables import BEGIN, END, write_table

TABLE = """\
| release | variant | MB | metric | eager | variant's | x eager | engine for | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| answers | onnxruntime-cpu:fp32 | 90.3 | answer F1 | 0.5084 | 0.5084 | 1.55 | - | passed |
| answers | onnxruntime-cpu:int8 | 23.6 | answer F1 | 0.5183 | 0.5174 | not settled | - | passed |
| answers | tensorrt-rtx:fp16 | 49.5 | answer F1 | 0.5183 | 0.5157 | - | 8.0 8.6 | graph passed, not run |
| answers | tensorrt-rtx:int8 | 31.6 | answer F1 | 0.5183 | 0.5237 | - | 8.0 8.6 | graph passed, not run |
| how-to | onnxruntime-cpu:fp32 | 90.9 | accuracy | 0.7293 | 0.7293 | 1.85 | - | passed |
| how-to | onnxruntime-cpu:int8 | - | - | - | - | - | - | withheld: it is slower |
| plain | onnxruntime-cpu:fp32 | 90.9 | accuracy | 0.7 | 0.7 | 1.2 | - | passed |
"""


def between_markers(document: Path) -> str:
    return document.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def test_a_row_a_release() -> None:
    _, rule, *rows = release_tables.by_release(TABLE).splitlines()
    assert set(rule) == set("| -")
    assert rows == [
        "| answers | answer F1 | 0.5084 / 0.5084 | 0.5174 / 0.5183 | 90.3 / 23.6 | 1.55 | not settled "
        "| tensorrt-rtx fp16, int8: graph passed, not run |",
        "| how-to | accuracy | 0.7293 / 0.7293 | withheld | 90.9 / withheld | 1.85 | withheld | - |",
        "| plain | accuracy | 0.7 / 0.7 | - | 90.9 / - | 1.2 | - | - |",
    ]


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text(f"before\n{BEGIN}old\n{END}after\n", encoding="utf-8")
    write_table(document, "new\n")
    assert document.read_text(encoding="utf-8") == f"before\n{BEGIN}new\n{END}after\n"


def test_the_readme_shows_what_the_whole_table_says() -> None:
    whole = between_markers(release_tables.EVERY_VARIANT)
    assert between_markers(release_tables.README) == release_tables.by_release(whole)


def test_a_row_that_misses_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        release_tables.by_release(TABLE + "| half | a |\n")
