"""The targets, one a file. A new file with a `TARGET` is a new target."""

import pkgutil


def names() -> tuple[str, ...]:
    """The names of all targets."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def module(name: str) -> str:
    """The module of the target `name`."""
    return f"{__name__}.{name}"
