"""The tasks. A task's module has the name of its head, so a new head needs one new file here and no other edit."""

import difflib
import functools
import importlib
import pkgutil
from typing import cast

from validation.errors import DataError
from validation.tasks.base import Example, Task

_NOT_TASKS = {"base", "record"}


@functools.cache
def names() -> tuple[str, ...]:
    """The heads that can be validated, sorted."""
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_TASKS)
    )


@functools.cache
def find(head: str) -> type[Task[Example]]:
    """The task of `head`; raises DataError with the nearest name for an unknown head."""
    if head not in names():
        near = difflib.get_close_matches(head, names(), n=1)
        raise DataError(
            f"the head {head!r} cannot be validated; the known heads are {', '.join(names())}",
            hint=f"did you mean {near[0]!r}?" if near else "",
        )
    module = importlib.import_module(f"{__name__}.{head}")
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
    ]
    if len(defined) != 1:
        names_of_classes = ", ".join(value.__name__ for value in defined) or "none"
        raise TypeError(f"{module.__name__} must define one subclass of Task, found {names_of_classes}")
    # A task only gets the examples that its own `parse` returned.
    return cast(type[Task[Example]], defined[0])
