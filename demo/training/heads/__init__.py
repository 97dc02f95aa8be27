"""The heads that are trained, found by their module's name: a new one is a new file here, and nothing else."""

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from demo.training.task import Task


def names() -> tuple[str, ...]:
    """Every trained head's name, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def find(head: str) -> Task:
    """The recipe of `head`, which its module calls TASK."""
    return cast(Task, import_module(f"{__name__}.{head}").TASK)
