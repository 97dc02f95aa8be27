"""The file that a search leaves: the best plan so far, the plans of the other precisions, and comments that say why."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.recipe.plan import Plan, plan_tables, preset, to_toml


def other_plans(
    path: Path, recipe_plans: Path | None, target: str, precisions: Sequence[str], head: str
) -> Mapping[str, Plan]:
    """The plans of `precisions`, by precision, which the file keeps as they are.

    Each comes from `path` if that has it, else from the recipe's file of plans, else from the committed ones. Raises
    UsageError for a damaged file.
    """
    files = [file for file in (path, recipe_plans) if file is not None and file.is_file()]
    return {
        precision: preset(
            target, precision, head, next((file for file in files if _has_plan(file, precision)), None)
        )
        for precision in precisions
    }


def write(
    path: Path, precision: str, plan: Plan, others: Mapping[str, Plan], comments: Sequence[str]
) -> None:
    """Write `plan` and `others` to `path`, all or nothing, below the lines of `comments`."""
    tables = {precision: plan, **others}
    text = "".join(f"# {line}\n" for line in comments)
    text += "".join(f"\n{to_toml(tables[name], name)}" for name in sorted(tables))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.aside")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _has_plan(path: Path, precision: str) -> bool:
    """Whether the file has a plan for `precision`; true for a damaged file, whose reader then explains the damage."""
    try:
        return precision in plan_tables(path)
    except UsageError:
        return True
