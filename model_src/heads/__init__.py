"""The heads, each named after its module. A new head is a new file here; nothing else needs an edit."""

import difflib
import importlib
import pkgutil

from model_src.errors import ConfigurationError
from model_src.heads.base import Head

_NOT_HEADS = {"base"}


def names() -> tuple[str, ...]:
    """The names of all heads, sorted."""
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_HEADS)
    )


def find(name: str) -> type[Head]:
    """The head called `name`; raises ConfigurationError, with the nearest name, if there is none."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        raise ConfigurationError(
            f"unknown head {name!r}; known: {', '.join(names())}",
            hint=f"did you mean {near[0]!r}?" if near else "",
        )
    module = importlib.import_module(f"{__name__}.{name}")
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Head) and value.__module__ == module.__name__
    ]
    if len(defined) != 1:
        names_of_classes = ", ".join(value.__name__ for value in defined) or "none"
        raise TypeError(f"{module.__name__} must define one subclass of Head, found {names_of_classes}")
    return defined[0]


def find_architecture(architecture: str) -> type[Head]:
    """The head whose class in transformers is `architecture`; raises ConfigurationError if there is none."""
    heads = {head.architecture: head for head in map(find, names())}
    if architecture not in heads:
        raise ConfigurationError(
            f"config.json names the architecture {architecture!r:.80}; known: {', '.join(heads)}",
            hint=f"choose a head by hand: --head {'|'.join(names())}",
        )
    return heads[architecture]
