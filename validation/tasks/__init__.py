"""The tasks, found by their module's name, which is the head's: a new head is a new file here, and nothing else."""

import difflib
import functools
import importlib
import pkgutil
from typing import cast

from validation.errors import DataError
from validation.tasks.base import Example, Task

_NOT_TASKS = {"base"}


@functools.cache
def names() -> tuple[str, ...]:
    """Every head that can be validated, sorted."""
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_TASKS)
    )


@functools.cache
def find(head: str) -> type[Task[Example]]:
    """The task of `head`; DataError with the nearest name where there is none."""
    if head not in names():
        near = difflib.get_close_matches(head, names(), n=1)
        raise DataError(
            f"no head {head!r} can be validated; known: {', '.join(names())}",
            hint=f"did you mean {near[0]!r}?" if near else "",
        )
    module = importlib.import_module(f"{__name__}.{head}")
    (task,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
    )
    # Each task is only ever given the examples that its own `parse` made.
    return cast(type[Task[Example]], task)
