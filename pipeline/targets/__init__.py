"""Targets: one file here each. A target compiles the graph it is given; precision is in the graph.

Their engines are imported when they compile, so that what targets there are can be asked at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.flavours import Flavour
from pipeline.errors import MissingError, UsageError
from pipeline.registry import Registry, unknown
from pipeline.store.versions import installed

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

Compile = Callable[["Graph", str, Path], tuple[str, ...]]
"""(graph, precision, release folder) to the files written there, relative, the one to load first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What runs artifacts: the precisions and operator domains it accepts, the packages it needs, how to compile.

    engine: the compiler that makes an engine of the graph that `compile` writes; None where that graph is the artifact.
    device: its artifacts run on a device only; where there is none, the graph that `compile` wrote answers for them.
    """

    name: str
    precisions: tuple[str, ...]
    domains: frozenset[str]
    packages: tuple[str, ...]
    compile: Compile
    engine: Flavour | None = None
    device: bool = False


targets: Registry[Target] = Registry("target", __name__)


def target(
    name: str,
    *,
    precisions: tuple[str, ...],
    domains: frozenset[str],
    packages: tuple[str, ...],
    engine: Flavour | None = None,
    device: bool = False,
) -> Callable[[Compile], Compile]:
    """Register the decorated function as the target `name`."""

    def register(function: Compile) -> Compile:
        targets.add(
            Target(
                name=name,
                precisions=precisions,
                domains=domains,
                packages=packages,
                compile=function,
                engine=engine,
                device=device or engine is not None,
            )
        )
        return function

    return register


def precisions() -> tuple[str, ...]:
    """Every precision that some target accepts, sorted."""
    return tuple(
        sorted({precision for name in targets.names() for precision in targets.find(name).precisions})
    )


def find(name: str, precision: str) -> Target:
    """The target `name`, which takes `precision` and whose packages are installed.

    Raises UsageError for an unknown name and for a precision that it does not take, MissingError for a package.
    """
    found = targets.find(name)
    if precision not in found.precisions:
        if precision not in precisions():
            raise unknown("precision", precision, precisions())
        raise UsageError(
            f"the target {name} has no precision {precision}", hint=f"it has {', '.join(found.precisions)}"
        )
    for package in found.packages:
        if installed(package) is None:
            raise MissingError(
                f"the target {name} needs the package {package}, which is not installed",
                hint=f"pip install {found.engine.extra if found.engine else package}",
            )
    return found


def compile_graph(found: Target, graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Compile `graph` into `folder`; ValueError for operators of a domain that the target does not know."""
    from pipeline.graph.file import domains

    foreign = domains(graph) - found.domains
    if foreign:
        raise ValueError(
            f"{found.name} has no operators of the domains {', '.join(sorted(foreign))}; "
            f"it accepts {', '.join(sorted(found.domains)) or 'ONNX only'}"
        )
    return found.compile(graph, precision, folder)
