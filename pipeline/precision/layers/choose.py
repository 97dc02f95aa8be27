"""Which modules of a graph are quantized: all that can be, except those that the plan keeps in floating point."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx_ir

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.precision.layers import linear as linear_layers
from pipeline.precision.layers import packed
from pipeline.precision.layers import tables as embedding_tables
from pipeline.precision.layers.linear import Linear
from pipeline.precision.layers.tables import Table

_PREFIX = "distilbert."
_LAYER = re.compile(r"\.\d+\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to quantize."""

    linears: tuple[Linear, ...]
    """Linear layers, in the graph's order."""
    tables: tuple[Table, ...]
    """Embedding tables, in the graph's order."""
    excluded: frozenset[str] = frozenset()
    """All modules that the plan excludes, by Hugging Face's names."""

    @property
    def activations(self) -> tuple[onnx_ir.Value, ...]:
        """The values that the linear layers read, each once."""
        return tuple(dict.fromkeys(linear.activation for linear in self.linears))


def choose(graph: Graph, exclude: Sequence[str], other_modules: Sequence[str] = ()) -> Selection:
    """Linear layers and embedding tables of `graph` that `exclude` does not name.

    `exclude` may name `other_modules` too. Raises UsageError for a pattern that names nothing.
    """
    linears, tables = linear_layers.find(graph), embedding_tables.find(graph)
    excluded = named(exclude, [*modules(graph), *other_modules])
    return Selection(
        linears=tuple(linear for linear in linears if linear.module not in excluded),
        tables=tuple(table for table in tables if table.module not in excluded),
        excluded=excluded,
    )


def modules(graph: Graph) -> tuple[str, ...]:
    """The modules of `graph` that every scheme can leave out: its linear layers and embedding tables."""
    linears, tables = linear_layers.find(graph), embedding_tables.find(graph)
    return (*(linear.module for linear in linears), *(table.module for table in tables))


def named(patterns: Iterable[str], modules: Sequence[str]) -> frozenset[str]:
    """The `modules` that `patterns` name; "*" stands for anything.

    The prefix "distilbert." may be left out, and a packed projection answers to the name of any of its parts. Raises
    UsageError with the nearest name for a pattern that names nothing.
    """
    names: set[str] = set()
    for pattern in patterns:
        matching = {module for module in modules if _matches(pattern, module)}
        if not matching:
            raise _unknown(pattern, modules)
        names |= matching
    return frozenset(names)


def check_exclude(patterns: Sequence[str], modules: Sequence[str]) -> None:
    """Raise UsageError where a user's `patterns` name none of `modules`, or all of them."""
    if len(named(patterns, modules)) == len(set(modules)):
        raise UsageError(
            f"excluding {', '.join(patterns)} leaves nothing to quantize",
            hint="exclude fewer modules, or choose a precision of more bits",
        )


def _unknown(pattern: str, modules: Sequence[str]) -> UsageError:
    """The error for a pattern that names nothing; it lists the modules of all layers once, with * for the number."""
    kinds = dict.fromkeys(_LAYER.sub(".*.", module) for module in modules)
    parts = [kind.split(".") for kind in kinds]
    shortened = dict.fromkeys(
        ".".join(["*", *names[start:]]) for names in parts for start in range(1, len(names))
    )
    near = difflib.get_close_matches(pattern, [*modules, *shortened], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "* stands for anything, as in '*.ffn.lin2'"
    if any(_matches(f"{pattern}.*", module) for module in modules):
        hint = f"its modules are {f'{pattern}.*'!r}"
    return UsageError(f"unknown module {pattern!r}; known: {', '.join(kinds)}", hint=hint)


def _matches(pattern: str, module: str) -> bool:
    names = [module, *packed.parts(module)]
    names += [name.removeprefix(_PREFIX) for name in names]
    return any(fnmatchcase(name, pattern) for name in names)
