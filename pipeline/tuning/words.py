"""What one plan does that another does not, in words."""

from collections.abc import Mapping
from dataclasses import fields

from pipeline.recipe.plan import Plan


def differences(plan: Plan, base: Plan) -> str:
    """How `plan` differs from `base`, a clause a field; "the same" where it does not."""
    return (
        "; ".join(
            said
            for entry in fields(Plan)
            if (said := _difference(entry.name, getattr(plan, entry.name), getattr(base, entry.name)))
        )
        or "the same"
    )


def _difference(name: str, value: object, base: object) -> str:
    if isinstance(value, tuple) and isinstance(base, tuple):
        added = [f"+{each}" for each in value if each not in base]
        left = [f"-{each}" for each in base if each not in value]
        return f"{name} {' '.join(added + left)}" if added or left else ""
    if isinstance(value, Mapping) and isinstance(base, Mapping):
        changed = [f"{key}={each}" for key, each in value.items() if base.get(key) != each]
        left = [f"-{key}" for key in base if key not in value]
        return f"{name} {' '.join(changed + left)}" if changed or left else ""
    return f"{name} {value or 'none'}" if value != base else ""
