"""A registry of one kind of extension: to add one, add a file to its package and edit nothing else."""

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from pipeline.errors import UsageError


class Named(Protocol):
    """An entry of a registry: anything with a name."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Generic[Entry]):
    """The entries of one `kind`, which the modules of `package` define; they are imported on first use.

    An error while importing a module propagates, so that an extension cannot vanish in silence.
    """

    def __init__(self, kind: str, package: str) -> None:
        self._kind = kind
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._imported = False

    def add(self, entry: Entry) -> Entry:
        """Register `entry`; ValueError if its name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"two definitions of the {self._kind} {entry.name!r} in {self._package}")
        self._entries[entry.name] = entry
        return entry

    def names(self) -> tuple[str, ...]:
        """Every entry's name, sorted."""
        self._import()
        return tuple(sorted(self._entries))

    def find(self, name: str) -> Entry:
        """The entry called `name`; UsageError with the nearest name if there is none."""
        self._import()
        if name not in self._entries:
            raise unknown(self._kind, name, self.names())
        return self._entries[name]

    def _import(self) -> None:
        if self._imported:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._imported = True


def unknown(kind: str, name: str, known: Sequence[str]) -> UsageError:
    """The error for a `name` that is not in `known`, with the nearest name as its hint."""
    return UsageError(f"unknown {kind} {name!r}; known: {', '.join(known)}", hint=suggestion(name, known))


def suggestion(name: str, known: Sequence[str]) -> str:
    """The question whether the one of `known` that is most like `name` was meant; empty where none is like it."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""
