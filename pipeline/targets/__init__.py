"""Targets: one file each. A target compiles the graph that it is given; the precision is already in the graph.

A target imports its engine only when it compiles, so that listing the targets is quick.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.kept_tokens import KEPT_TOKENS

from pipeline.engines.compiler import EngineCompiler
from pipeline.errors import MissingError, UsageError
from pipeline.registry import Registry, unknown
from pipeline.store.versions import installed

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

Compile = Callable[["Graph", str, Path], tuple[str, ...]]
"""(graph, precision, release folder) to the files written there, as relative paths, the one to load first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that runs artifacts, and how to make artifacts for it."""

    name: str
    """As users write it, such as "onnxruntime-cpu"."""
    precisions: tuple[str, ...]
    """The precisions that it runs."""
    domains: frozenset[str]
    """The operator domains that it runs; "" is ONNX's own."""
    packages: tuple[str, ...]
    """The packages that must be installed to compile for it."""
    compile: Compile
    """Writes the artifact."""
    compiler: EngineCompiler | None = None
    """Compiles the graph that `compile` wrote to an engine; None where that graph is the artifact."""
    device: bool = False
    """Whether artifacts run on a device only. Without one, the graph that `compile` wrote is validated instead."""
    plans: str = ""
    """The name of the target whose plans it takes; "" for its own."""


targets: Registry[Target] = Registry("target", __name__)


def target(
    name: str,
    *,
    precisions: tuple[str, ...],
    domains: frozenset[str],
    packages: tuple[str, ...],
    device: bool = False,
    plans: str = "",
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
                device=device,
                plans=plans,
            )
        )
        return function

    return register


def precisions() -> tuple[str, ...]:
    """Every precision that some target runs, sorted."""
    return tuple(
        sorted({precision for name in targets.names() for precision in targets.find(name).precisions})
    )


def find(name: str, precision: str) -> Target:
    """The target `name`, which runs `precision` and whose packages are installed.

    Raises UsageError for an unknown name and for a precision that the target does not run, and MissingError for a
    package that is not installed.
    """
    chosen = targets.find(name)
    if precision not in chosen.precisions:
        if precision not in precisions():
            raise unknown("precision", precision, precisions())
        raise UsageError(
            f"the target {name} has no precision {precision}", hint=f"it has {', '.join(chosen.precisions)}"
        )
    for package in chosen.packages:
        if installed(package) is None:
            raise MissingError(
                f"the target {name} needs the package {package}, which is not installed",
                hint=f"pip install {chosen.compiler.install if chosen.compiler else package}",
            )
    return chosen


def packages_of(names: Iterable[str]) -> tuple[str, ...]:
    """The packages that the targets `names` compile with, each once, sorted; UsageError for an unknown name."""
    return tuple(sorted({package for name in names for package in targets.find(name).packages}))


def compilers() -> dict[str, EngineCompiler]:
    """The compilers of engines, by the names of their targets."""
    every = (targets.find(name) for name in targets.names())
    return {chosen.name: chosen.compiler for chosen in every if chosen.compiler is not None}


def find_compiler(name: str) -> EngineCompiler:
    """The compiler of the target `name`; UsageError where it does not have one."""
    known = compilers()
    if name not in known:
        raise unknown("target with engines", name, tuple(known))
    return known[name]


def plans_of(name: str) -> str:
    """The name of the target whose plans the target `name` takes; UsageError for an unknown name."""
    return targets.find(name).plans or name


def compile_graph(chosen: Target, graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Compile `graph` for the target `chosen` into `folder`; the files, relative to it, the one to load first.

    Raises UsageError for operators of a domain that the target does not run, and for an input that only the runtime
    feeds, where applications run the artifact without it.
    """
    from pipeline.graph.file import domains

    if KEPT_TOKENS in {value.name for value in graph.graph.inputs} and (
        chosen.compiler is None or chosen.compiler.provider
    ):
        raise UsageError(
            f"the pass kept_input is for engines that distilforge runs itself, and {chosen.name} is run by "
            f"applications, which do not feed the input {KEPT_TOKENS}",
            hint="leave it out: the pass drop_padding alone counts the tokens in the graph",
        )

    foreign = domains(graph) - chosen.domains
    if foreign:
        nodes = (node for node in graph.graph.all_nodes() if node.domain in foreign)
        operators = sorted({f"{node.domain}.{node.op_type}" for node in nodes})
        raise UsageError(
            f"the target {chosen.name} does not run {', '.join(operators)}, which the plan's passes write",
            hint="leave these passes out of the plan; `distilforge list passes` says what each one writes",
        )
    return chosen.compile(graph, precision, folder)
