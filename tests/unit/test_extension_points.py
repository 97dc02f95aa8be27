"""Each file of an extension point is an entry, the houses agree on the names, and the documentation has a row for each.

These are rules and no lists, so that a new file needs no edit here.
"""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from distilforge.backends import backends
from distilforge.heads import heads as session_classes
from distilforge.machine import needs

from model_src import heads
from pipeline.packages import kinds
from pipeline.passes import registry as passes
from pipeline.precision import schemes
from pipeline.targets import targets
from validation import tasks

ROOT = Path(__file__).parents[2]


def spelled(names: tuple[str, ...]) -> set[str]:
    """The modules that are named like the entries `names`."""
    return {name.replace("-", "_") for name in names}


def registering(folder: str) -> set[str]:
    """The modules in `folder` that register subjects, whose names need not be the module's."""
    registration = re.compile(r"^ *(subjects\.add|add_both)\(", re.MULTILINE)
    paths = (ROOT / folder).glob("*.py")
    return {
        path.stem
        for path in paths
        if path.stem != "__init__" and registration.search(path.read_text(encoding="utf-8"))
    }


ENTRIES = {
    "bench.gpu.subjects": registering("bench/gpu/subjects"),
    "bench.subjects": registering("bench/subjects"),
    "distilforge.backends": spelled(backends.names()),
    "distilforge.heads": spelled(session_classes.names()),
    "distilforge.machine": spelled(needs.names()),
    "model_src.heads": set(heads.names()),
    "pipeline.packages": {kinds.find(name).write.__module__.rpartition(".")[2] for name in kinds.names()},
    "pipeline.passes": {passes.find(name).run.__module__.rpartition(".")[2] for name in passes.names()},
    "pipeline.precision": {schemes.find(name).run.__module__.rpartition(".")[2] for name in schemes.names()},
    "pipeline.targets": spelled(targets.names()),
    "validation.tasks": set(tasks.names()),
}
"""The modules of each extension point that define an entry."""

FILES_WITH_A_CASE_FOR_EACH_HEAD = (
    "head_answers.py",
    "integration/conftest.py",
    "integration/runtime/bulk/test_run.py",
    "integration/runtime/test_lightness.py",
    "unit/pipeline/precision/quantized.py",
    "unit/runtime/bulk/test_answering.py",
    "unit/runtime/heads/test_answers.py",
    "unit/validation/test_data.py",
    "validation_runs.py",
)
"""Files of tests with a table that has an input, data or numbers for each head; other tests take them from there."""


def files_of(package: str) -> dict[str, Path]:
    """The modules of a package, without its subpackages."""
    folder = Path(str(importlib.import_module(package).__file__)).parent
    return {
        module.name: folder / f"{module.name}.py"
        for module in pkgutil.iter_modules([str(folder)])
        if not module.ispkg
    }


def is_imported(module: str, package: str) -> bool:
    """Whether another module of the package imports it, as a part that several entries share."""
    statement = re.compile(
        rf"from {re.escape(package)}\.{module} import|from {re.escape(package)} import .*\b{module}\b"
    )
    return any(
        statement.search(path.read_text(encoding="utf-8"))
        for name, path in files_of(package).items()
        if name != module
    )


@pytest.mark.parametrize("package", ENTRIES)
def test_every_file_is_an_entry_or_a_part_of_several(package: str) -> None:
    files = files_of(package)
    assert ENTRIES[package] <= files.keys()
    assert [name for name in files if name not in ENTRIES[package] and not is_imported(name, package)] == []


def test_what_a_pass_comes_after_is_a_pass() -> None:
    assert {name for entry in passes.names() for name in passes.find(entry).after} <= set(passes.names())


@pytest.mark.parametrize("name", [*passes.names(), *schemes.names()])
def test_every_pass_and_every_scheme_has_a_test(name: str) -> None:
    tests = (ROOT / "tests" / "unit" / "pipeline").rglob("test_*.py")
    occurs = any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in tests)
    assert occurs, f"no test below tests/unit/pipeline names {name}"


def test_every_target_has_a_backend() -> None:
    assert targets.names() == backends.names()


def test_the_houses_know_the_same_heads() -> None:
    assert heads.names() == session_classes.names() == tasks.names()


@pytest.mark.parametrize("document", ["artifacts/README.md", "validation/README.md"])
@pytest.mark.parametrize("head", heads.names())
def test_every_head_has_a_row_in_the_tables(head: str, document: str) -> None:
    rows = re.findall(r"^\| `?(\w+)`? \|", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
    assert head in rows, f"{document} has no row for the head {head}"


@pytest.mark.parametrize("file", FILES_WITH_A_CASE_FOR_EACH_HEAD)
@pytest.mark.parametrize("head", heads.names())
def test_every_head_has_a_case_where_tests_need_one(head: str, file: str) -> None:
    has_case = f'"{head}"' in (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert has_case, f"tests/{file} has no case for the head {head}"


@pytest.mark.parametrize("target", targets.names())
def test_every_target_is_in_the_readme_of_the_runtime(target: str) -> None:
    names = re.findall(r"\b([\w-]+)[`:]", (ROOT / "runtime" / "README.md").read_text(encoding="utf-8"))
    assert target in names, f"runtime/README.md does not say what to install for the target {target}"


def test_every_kind_of_file_has_a_row_in_contributing() -> None:
    rows = [
        line
        for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    for package in ENTRIES:
        house = "runtime/" if package.startswith("distilforge") else ""
        assert any(f"`{house}{package.replace('.', '/')}/NAME.py`" in row for row in rows), package
