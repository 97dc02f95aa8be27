"""The file of plans that a search leaves: the best plan so far, the other precisions' as they are, and why."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.recipe.plan import Plan, preset, to_toml


def others(
    path: Path, own: Path | None, target: str, precisions: Sequence[str], head: str
) -> Mapping[str, Plan]:
    """The plans of `precisions`, which the file is to keep, by precision.

    From `path` itself where it is there, else from the recipe's `own` file of plans, else the committed ones. Raises
    UsageError for a file that is damaged.
    """
    files = [each for each in (path, own) if each is not None and each.is_file()]
    return {
        precision: preset(
            target, precision, head, next((each for each in files if _has(each, precision)), None)
        )
        for precision in precisions
    }


def write(
    path: Path, precision: str, plan: Plan, others: Mapping[str, Plan], comments: Sequence[str]
) -> None:
    """Write `plan` and `others` to `path`, whole or not at all; `comments` are lines for people."""
    tables = {precision: plan, **others}
    text = "".join(f"# {line}\n" for line in comments)
    text += "".join(f"\n{to_toml(tables[name], name)}" for name in sorted(tables))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def _has(path: Path, precision: str) -> bool:
    """Whether the file has a plan for `precision`; a damaged one is said to, and reading it explains itself."""
    try:
        return precision in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
