"""Which modules of a graph are quantized: all that can be, less those that the plan keeps in floating point."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.precision.layers import linear, tables
from pipeline.precision.layers.linear import Linear
from pipeline.precision.layers.tables import Table

_PREFIX = "distilbert."
_LAYER = re.compile(r"\.\d+\.")
# A packed projection answers to the names of those that it was made of.
_PACKED = "qkv_lin"
_PARTS = ("q_lin", "k_lin", "v_lin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What to quantize."""

    linears: tuple[Linear, ...]
    tables: tuple[Table, ...]
    left_out: frozenset[str] = frozenset()


def choose(graph: Graph, exclude: Sequence[str], others: Sequence[str] = ()) -> Chosen:
    """Linear layers and embedding tables of `graph` that `exclude` does not name, and all modules that it names.

    `others` are modules beside those that may be named. Raises UsageError for what names nothing.
    """
    linears, embeddings = linear.find(graph), tables.find(graph)
    modules = [*(each.module for each in linears), *(each.module for each in embeddings), *others]
    left_out = named(exclude, modules)
    return Chosen(
        linears=tuple(each for each in linears if each.module not in left_out),
        tables=tuple(each for each in embeddings if each.module not in left_out),
        left_out=left_out,
    )


def named(patterns: Iterable[str], modules: Sequence[str]) -> frozenset[str]:
    """Those of `modules` that `patterns` name; "*" stands for anything.

    The prefix "distilbert." may be left away, and a packed projection answers to the name of any of its parts. Raises
    UsageError with the nearest name for a pattern that names nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = {module for module in modules if _matches(pattern, module)}
        if not matching:
            raise _unknown(pattern, modules)
        found |= matching
    return frozenset(found)


def check_exclude(patterns: Sequence[str], modules: Sequence[str]) -> None:
    """UsageError where a user's `patterns` name none of `modules`, or all of them."""
    if len(named(patterns, modules)) == len(set(modules)):
        raise UsageError(
            f"excluding {', '.join(patterns)} leaves nothing to quantize",
            hint="exclude fewer modules, or build fp16 or fp32",
        )


def _unknown(pattern: str, modules: Sequence[str]) -> UsageError:
    """What a pattern that names nothing may have meant; the layers, which are alike, are listed once."""
    kinds = dict.fromkeys(_LAYER.sub(".*.", module) for module in modules)
    parts = [kind.split(".") for kind in kinds]
    shortened = dict.fromkeys(
        ".".join(["*", *names[start:]]) for names in parts for start in range(1, len(names))
    )
    near = difflib.get_close_matches(pattern, [*modules, *shortened], n=1)
    return UsageError(
        f"unknown module {pattern!r}; known: {', '.join(kinds)}",
        hint=f"did you mean {near[0]!r}?" if near else "* stands for anything, as in '*.ffn.lin2'",
    )


def _matches(pattern: str, module: str) -> bool:
    names = [module]
    head, _, last = module.rpartition(".")
    if last == _PACKED:
        names += [f"{head}.{part}" for part in _PARTS]
    names += [name.removeprefix(_PREFIX) for name in names]
    return any(fnmatchcase(name, pattern) for name in names)
