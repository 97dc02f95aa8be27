"""Extension points: each file of a package adds an entry, and nothing else has to be edited."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def nearest(name: str, names: tuple[str, ...]) -> str:
    """A sentence that lists `names` and suggests the one most like `name`."""
    from difflib import get_close_matches  # here, since only errors need it and imports must stay quick

    close = get_close_matches(name, names, n=1, cutoff=0.4)
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    return f"there are {', '.join(map(repr, names)) or 'none'}{suggestion}"


class Registry(Generic[T]):
    """The entries that the modules of `package` register when they are imported, which happens when needed.

    An import error propagates: an extension that cannot be imported must not be silently absent.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that adds an entry; ValueError where the name is taken."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self._package} has two entries named {name!r}")
            self._entries[name] = entry
            return entry

        return add

    def names(self) -> tuple[str, ...]:
        """The names of all entries, sorted."""
        self._import_modules()
        return tuple(sorted(self._entries))

    def get(self, name: str) -> T | None:
        """The entry `name`, or None where there is none."""
        if name not in self._entries:
            # Most modules have the name of their entry; importing only that one makes opening a release quick
            self._import_modules(only=name.replace("-", "_"))
        if name not in self._entries:
            self._import_modules()
        return self._entries.get(name)

    def _import_modules(self, only: str | None = None) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if only in (None, module.name):
                importlib.import_module(f"{self._package}.{module.name}")
