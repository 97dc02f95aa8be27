"""Recipes as TOML: recipes/<name>.toml. Paths are relative to the file; unknown names are refused.

name = "sentiment"                          # default: the file's name
checkpoint = "../demo/checkpoints/sentiment"
head = "sequence_classification"            # default: the one that config.json names
variants = ["onnxruntime-cpu:fp32", "onnxruntime-cpu:int8"]
optional = ["onnxruntime-cpu:int8"]         # withheld, and not a failure, where a check says no
evaluation = "evaluation.jsonl.gz"
calibration = "calibration.jsonl.gz"
exclude = ["qa_outputs"]                    # modules that keep their precision
plans = "tuned.toml"                        # written by `distilforge tune`; replaces the committed plans

[spans]
sequence = [1, 128, 512]                    # low, usual, high

[engine]                                    # any field of EngineOptions
buckets = [64, 128, 512]

[gates]                                     # any field of validation's Gates
margin = 0.01

[gates.limits.int8]                         # any field of validation's Limits
agreement = 0.98
noise = "off"                               # reported and not judged
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from distilforge.manifest import Span
from distilforge.reader import MisfitError, Reader

from pipeline.errors import UsageError
from pipeline.recipe.paths import exists
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.recipe.toml_file import read_tables
from pipeline.registry import unknown
from pipeline.targets import precisions
from validation.errors import GatesError
from validation.gates import LIMITS, Gates

OFF = "off"


def read(path: Path) -> Recipe:
    """The recipe in `path`; UsageError names the file, the field, its value and the nearest known name."""
    values = read_tables(
        path, absent=UsageError(f"there is no recipe {path}", hint="recipes lie in recipes/*.toml")
    )
    completed = {"name": path.stem, **values}
    if "checkpoint" in values:
        completed["checkpoint"] = _checkpoint(values["checkpoint"], path.parent)
    if "gates" in values:
        completed["gates"] = _with_usual_limits(values["gates"], path)
    recipe = _reader(
        path.parent, hint="recipes/README.md has every name, and recipes/*.toml are examples"
    ).read(Recipe, completed, str(path))
    for variant in recipe.optional:
        if variant not in recipe.variants:
            raise UsageError(
                f"{path}: optional names {variant}, which is not one of variants",
                hint=f"they are {', '.join(map(str, recipe.variants))}",
            )
    return recipe


def update(recipe: Recipe, values: Mapping[str, object]) -> Recipe:
    """`recipe` with `values`, written as in TOML; their paths are relative to the working folder."""
    return _reader(Path()).update(recipe, dict(values), "")


def _reader(folder: Path, *, hint: str = "") -> Reader:

    def path(value: object) -> Path:
        if not isinstance(value, str | Path):
            raise MisfitError.of(value, "a path")
        return folder / value

    return Reader(
        UsageError,
        unknown="refuse",
        table="table",
        hint=hint,
        rejections=(UsageError, GatesError),
        converters={Path: path, VariantName: _variant, Span: _span, float | None: _number_or_off},
    )


def _variant(value: object) -> VariantName:
    if not isinstance(value, str):
        raise MisfitError.of(value, "text")
    return VariantName.parse(value)


def _span(value: object) -> Span:
    if not isinstance(value, list) or len(value) != 3 or not all(type(size) is int for size in value):
        raise MisfitError.of(value, "three whole numbers: low, usual, high")
    low, usual, high = value
    return Span(low=low, usual=usual, high=high)


def _number_or_off(value: object) -> float | None:
    if value is None or value == OFF:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MisfitError.of(value, f"a number, or {OFF!r}")
    try:
        return float(value)
    except OverflowError as cause:
        raise MisfitError.of(value, f"a number that a float can hold, or {OFF!r}") from cause


def _checkpoint(value: object, folder: Path) -> object:
    """A checkpoint that is a path as one relative to `folder`, and a hub id as it is.

    A hub id has one slash and begins with neither a dot nor a slash, as a path may. An existing folder comes first.
    """
    if not isinstance(value, str) or not value:
        return value
    beside = folder / value
    is_path = exists(beside) or value.startswith((".", "/")) or value.count("/") != 1
    return str(beside) if is_path else value


def _with_usual_limits(value: object, path: Path) -> object:
    """The table [gates], in which each precision has its usual limits beside those that the table sets."""
    if not isinstance(value, dict) or not isinstance(value.get("limits"), dict):
        return value
    usual = Gates()
    known = {*LIMITS, *precisions()}
    limits: dict[str, object] = {precision: asdict(usual.of(precision)) for precision in LIMITS}
    for precision, table in value["limits"].items():
        if precision not in known:
            raise unknown(f"precision in {path}: gates.limits", precision, sorted(known))
        if isinstance(table, dict):
            _check_siblings(table.get("faster_than"), precision, sorted(known), path)
        limits[precision] = {**asdict(usual.of(precision)), **table} if isinstance(table, dict) else table
    return {**value, "limits": limits}


def _check_siblings(value: object, precision: str, known: Sequence[str], path: Path) -> None:
    """UsageError for a name in the list `value` that is not another precision; other types are refused later."""
    place = f"gates.limits.{precision}.faster_than"
    for name in value if isinstance(value, list) else ():
        if isinstance(name, str) and name not in known:
            raise unknown(f"precision in {path}: {place}", name, known)
        if name == precision:
            raise UsageError(
                f"{path}: {place} names {precision} itself",
                hint="name the precisions that it must be faster than",
            )
