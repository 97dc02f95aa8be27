"""The file that a search leaves: complete or as it was, with the plans of the other precisions."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.plan import Plan, preset, to_toml
from pipeline.tuning import plan_file

TARGET, HEAD = "onnxruntime-cpu", "sequence_classification"
BEST = Plan(passes=("bias_gelu",), scheme="int8_dynamic", session={"session.intra_op.allow_spinning": "1"})
OTHER = Plan(passes=("constants",))


def others(path: Path, recipe_plans: Path | None = None) -> Plan:
    """The plan for fp32 that a search for int8 would keep."""
    return plan_file.other_plans(path, recipe_plans, TARGET, ["fp32"], HEAD)["fp32"]


def test_a_build_reads_what_a_search_writes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "plans.toml"
    plan_file.write(path, "int8", BEST, {"fp32": OTHER}, ["found today", "by nobody"])
    assert preset(TARGET, "int8", HEAD, path) == BEST
    assert preset(TARGET, "fp32", HEAD, path) == OTHER
    assert path.read_text(encoding="utf-8").startswith("# found today\n# by nobody\n")
    assert [file.name for file in path.parent.iterdir()] == ["plans.toml"]


def test_a_better_plan_replaces_the_old_one_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    plan_file.write(path, "int8", Plan(scheme="int8_static"), {"fp32": OTHER}, [])
    plan_file.write(path, "int8", BEST, {"fp32": others(path)}, [])
    assert preset(TARGET, "int8", HEAD, path) == BEST
    assert preset(TARGET, "fp32", HEAD, path) == OTHER


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    plan_file.write(path, "int8", BEST, {}, [])
    before = path.read_bytes()
    # A lone surrogate has no UTF-8 form, so writing fails halfway
    with pytest.raises(UnicodeEncodeError):
        plan_file.write(path, "int8", OTHER, {}, ["\ud800"])
    assert path.read_bytes() == before


def test_other_plans_come_from_the_file_then_the_recipe_then_the_committed_ones(tmp_path: Path) -> None:
    path, recipe_plans = tmp_path / "plans.toml", tmp_path / "recipe.toml"
    assert others(path, recipe_plans) == preset(TARGET, "fp32", HEAD)
    recipe_plans.write_text(to_toml(OTHER, "fp32"), encoding="utf-8")
    assert others(path, recipe_plans) == OTHER
    path.write_text(to_toml(Plan(), "fp32"), encoding="utf-8")
    assert others(path, recipe_plans) == Plan()


def test_a_file_without_the_precision_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    path.write_text(to_toml(BEST, "int8"), encoding="utf-8")
    assert others(path) == preset(TARGET, "fp32", HEAD)


@pytest.mark.parametrize("content", [b"[fp32\n", b"\xff\xfe", b"[fp32]\npass = []\n"])
def test_a_damaged_file_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"plans\.toml"):
        others(path)
