"""The heads that are trained, each named after its module. A new head is a new file; nothing else needs an edit."""

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from demo.training.task import Task


def names() -> tuple[str, ...]:
    """The names of all trained heads, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def find(head: str) -> Task:
    """The training recipe of `head`, which is TASK in its module."""
    return cast(Task, import_module(f"{__name__}.{head}").TASK)
