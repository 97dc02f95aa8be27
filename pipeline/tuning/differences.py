"""The differences between two plans, in words."""

from collections.abc import Mapping
from dataclasses import fields

from pipeline.recipe.plan import Plan


def differences(plan: Plan, base: Plan) -> str:
    """How `plan` differs from `base`, with a clause for each field; "the same" if it does not differ."""
    clauses = (
        _clause(entry.name, getattr(plan, entry.name), getattr(base, entry.name)) for entry in fields(Plan)
    )
    return "; ".join(filter(None, clauses)) or "the same"


def _clause(name: str, value: object, base: object) -> str:
    if isinstance(value, tuple) and isinstance(base, tuple):
        changes = [f"+{item}" for item in value if item not in base]
        changes += [f"-{item}" for item in base if item not in value]
        return f"{name} {' '.join(changes)}" if changes else ""
    if isinstance(value, Mapping) and isinstance(base, Mapping):
        changes = [f"{key}={item}" for key, item in value.items() if base.get(key) != item]
        changes += [f"-{key}" for key in base if key not in value]
        return f"{name} {' '.join(changes)}" if changes else ""
    return f"{name} {value or 'none'}" if value != base else ""
