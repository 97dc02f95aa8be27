"""Finds which of our modules a function depends on, from its imports, so that a stage runs again after an edit."""

import ast
import importlib.util
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from pipeline.store import digests

OWN_PACKAGES = ("distilforge", "model_src", "pipeline", "validation")
# A package that uses one of these finds its modules at run time, so no import names them
_REGISTRY, _WALKER = "Registry", "pkgutil"
# Python 3.11.0 to 3.11.7 has one counter for the depth of all syntax trees, which two threads at once make wrong
_PARSING = threading.Lock()


def digest_of(work: Callable[..., object]) -> str:
    """A digest of the source of `work`, of each of our modules that it uses, and of their imports.

    A function uses what it imports itself, and those imports of its module that it names.
    """
    function = inspect.unwrap(work)
    paths = {path for name in _used(function) for path in _closure(name)}
    return digests.of_value(
        [inspect.getsource(function), *[[_label(path), _digest(path)] for path in sorted(paths)]]
    )


def modules_of(work: Callable[..., object]) -> frozenset[str]:
    """The paths of the modules that `digest_of` reads, such as pipeline/store/work.py."""
    return frozenset(_label(path) for name in _used(inspect.unwrap(work)) for path in _closure(name))


def _used(function: Callable[..., object]) -> frozenset[str]:
    module = inspect.getmodule(function)
    assert module is not None
    body = _parse(textwrap.dedent(inspect.getsource(function)))
    used_names = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    module_tree = _parse(inspect.getsource(module))
    return frozenset(
        [
            *(name for _, name in _imports(body)),
            *(name for bound, name in _imports(module_tree) if bound in used_names),
        ]
    )


@cache
def _closure(name: str) -> frozenset[Path]:
    """The files of the module `name` and of each of our modules that it imports, directly or indirectly.

    The package of a module is left out unless it is imported itself.
    """
    paths: dict[str, Path] = {}
    pending = [name]
    while pending:
        module = pending.pop()
        if module in paths or (path := _file(module)) is None:
            continue
        paths[module] = path
        imported, finds_modules = _read(path)
        pending += imported
        if finds_modules:
            pending += [f"{module}.{file.stem}" for file in path.parent.glob("*.py") if file != path]
    return frozenset(paths.values())


@cache
def _read(path: Path) -> tuple[frozenset[str], bool]:
    """Which of our modules the file `path` imports, and whether it finds its package's modules at run time."""
    tree = _parse(path.read_text(encoding="utf-8"))
    finds_modules = path.name == "__init__.py" and _finds_modules(tree)
    return frozenset(name for _, name in _imports(tree)), finds_modules


@cache
def _digest(path: Path) -> str:
    return digests.of_file(path)


def _parse(source: str) -> ast.Module:
    with _PARSING:
        return ast.parse(source)


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The imports of our modules in `tree`: the name that each binds, and the module that it is or comes from."""
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OWN_PACKAGES:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield alias.asname or alias.name, node.module if _file(module) is None else module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in OWN_PACKAGES:
                    yield alias.asname or alias.name.partition(".")[0], alias.name


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """`tree` and all statements below it. Their expressions, nine tenths of a tree, contain no imports."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            pending += getattr(node, block, ())


@cache
def _file(module: str) -> Path | None:
    """The file of `module`; None if that is a name inside a module."""
    package, _, rest = module.partition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent.joinpath(*rest.split(".")) if rest else Path(spec.origin).parent
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


def _finds_modules(tree: ast.AST) -> bool:
    """Whether a package finds its modules at run time: it has a registry, or uses pkgutil."""
    return any(
        (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _REGISTRY)
        or (isinstance(node, ast.Import) and any(alias.name == _WALKER for alias in node.names))
        for node in ast.walk(tree)
    )


def _label(path: Path) -> str:
    """The path from its top package on, which does not depend on the machine."""
    parts = path.parts
    top = max(position for position, part in enumerate(parts) if part in OWN_PACKAGES)
    return "/".join(parts[top:])
