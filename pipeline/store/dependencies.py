"""Which of our own modules a function's work depends on, read from its imports, so that an edit makes it run again."""

import ast
import importlib.util
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from pipeline.store import digests

OWN = ("distilforge", "model_src", "pipeline", "validation")
# What a package uses that finds its modules at run time: nobody imports them by name
_REGISTRY, _WALKER = "Registry", "pkgutil"
# Python 3.11 counts the depth of all trees that are being built in one number: two threads at once make it wrong
_PARSING = threading.Lock()


def digest_of(work: Callable[..., object]) -> str:
    """Digest of the source of `work`, of every module of ours that it uses, and of all that these import.

    What it uses is what it imports itself, and what it names of its module's imports.
    """
    function = inspect.unwrap(work)
    paths = {path for name in _used(function) for path in _closure(name)}
    return digests.of_value(
        [inspect.getsource(function), *[[_label(path), digests.of_file(path)] for path in sorted(paths)]]
    )


def modules_of(work: Callable[..., object]) -> frozenset[str]:
    """The modules that `digest_of` looks at, by their paths below their package's parent."""
    return frozenset(_label(path) for name in _used(inspect.unwrap(work)) for path in _closure(name))


def _used(function: Callable[..., object]) -> frozenset[str]:
    module = inspect.getmodule(function)
    assert module is not None
    body = _parse(textwrap.dedent(inspect.getsource(function)))
    named = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    outside = _parse(inspect.getsource(module))
    return frozenset(
        [
            *(name for _, name in _imports(body)),
            *(name for bound, name in _imports(outside) if bound in named),
        ]
    )


@cache
def _closure(name: str) -> frozenset[Path]:
    """The files of the module `name` and of all of ours that it imports, and so on.

    A package around a module is left out unless it is imported itself: what it offers others is not used here.
    """
    seen: dict[str, Path] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module in seen or (path := _file(module)) is None:
            continue
        seen[module] = path
        imported, finds_modules = _read(path)
        waiting += imported
        if path.name == "__init__.py" and finds_modules:
            waiting += [f"{module}.{file.stem}" for file in path.parent.glob("*.py") if file != path]
    return frozenset(seen.values())


@cache
def _read(path: Path) -> tuple[frozenset[str], bool]:
    """What the module in `path` imports of ours, and whether it finds its package's modules at run time."""
    tree = _parse(path.read_text(encoding="utf-8"))
    return frozenset(name for _, name in _imports(tree)), _finds_modules(tree)


def _parse(source: str) -> ast.Module:
    with _PARSING:
        return ast.parse(source)


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Of every import of ours in `tree`: the name that it binds, and the module that it is or comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OWN:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield alias.asname or alias.name, node.module if _file(module) is None else module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in OWN:
                    yield alias.asname or alias.name.partition(".")[0], alias.name


@cache
def _file(module: str) -> Path | None:
    """The file of `module`; None where that is a name inside a module, and no module."""
    package, _, rest = module.partition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    place = Path(spec.origin).parent.joinpath(*rest.split(".")) if rest else Path(spec.origin).parent
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


def _finds_modules(tree: ast.AST) -> bool:
    """Whether a package finds its modules at run time: it makes a registry of them, or goes through them itself."""
    return any(
        (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _REGISTRY)
        or (isinstance(node, ast.Import) and any(alias.name == _WALKER for alias in node.names))
        for node in ast.walk(tree)
    )


def _label(path: Path) -> str:
    """The path from its top package on, which is the same on every machine."""
    parts = path.parts
    top = max(place for place, part in enumerate(parts) if part in OWN)
    return "/".join(parts[top:])
