"""recipes/README.md has every name that a recipe may have, and the usual limits as they are."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.engines.options import EngineOptions
from pipeline.recipe import spans, toml
from pipeline.recipe.recipe import Recipe
from validation.gates import LIMITS, Gates, Limits

README = (Path(__file__).parents[4] / "recipes" / "README.md").read_text(encoding="utf-8")
TABLES = {"spans", "engine", "gates", "limits"}
"""Fields that are tables of their own."""


def section(title: str) -> str:
    """The text under a heading."""
    return re.split(rf"^#+ {re.escape(title)}$", README, flags=re.MULTILINE)[1].split("\n#")[0]


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row of a table after the first one, by the name in it."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:3] == "| `"
    ]
    return {first.strip("`"): others for first, *others in cells}


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Recipes", Recipe),
        ("`[engine]`", EngineOptions),
        ("`[gates]`", Gates),
        ("`[gates.limits.PRECISION]`", Limits),
    ],
)
def test_every_field_has_a_row(title: str, kind: type) -> None:
    assert set(rows(section(title))) == {entry.name for entry in fields(kind)} - TABLES


def test_every_axis_has_a_row_with_its_default() -> None:
    axes = ("batch", "sequence", "choices")
    usual = spans.complete({}, axes, 512)
    found = rows(section("`[spans]`"))
    assert tuple(found) == axes
    for axis, span in usual.items():
        high = "N" if axis == "sequence" else str(span.high)
        assert found[axis][-1].startswith(f"`[{span.low}, {span.usual}, {high}]`")


@pytest.mark.parametrize(
    ("column", "precision"),
    [(1, "fp32"), (2, "fp16"), (3, "bf16"), (4, "int8"), (4, "int8_bf16"), (4, "int8_7bit"), (4, "fp8")],
)
def test_the_usual_limits_are_as_they_are(column: int, precision: str) -> None:
    for name, cells in rows(section("`[gates.limits.PRECISION]`")).items():
        value = getattr(LIMITS[precision], name)
        if name == "faster_than":
            assert cells[column] == (", ".join(value) or "none")
        else:
            assert cells[column] == "off" if value is None else float(cells[column]) == value, name


def test_the_defaults_of_gates_are_as_they_are() -> None:
    found, usual = rows(section("`[gates]`")), Gates()
    for name in ("margin", "confidence", "looks", "speedup", "sibling_speedup", "seconds_per_shape"):
        match = re.match(r"`([\d.]+)`", found[name][-1])
        assert match, name
        assert float(match[1]) == getattr(usual, name), name


def test_its_example_is_a_recipe(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "eval.jsonl").write_text("{}\n", encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(example, encoding="utf-8")
    assert toml.read(path).gates.of("int8").agreement == 0.97
