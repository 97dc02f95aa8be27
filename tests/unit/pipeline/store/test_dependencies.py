"""The dependencies of a stage are read from the imports of the function that does its work."""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from pipeline.stages.compile import compile_variant
from pipeline.stages.export import export
from pipeline.stages.validate import compare, time
from pipeline.store import dependencies
from pipeline.store.dependencies import digest_of, modules_of

PACKAGE = "a_package_of_stages"
FILES = {
    "__init__.py": "",
    "stage.py": f"""
from {PACKAGE} import helper, unused
from {PACKAGE}.entries import registry


def work():
    from {PACKAGE} import late

    return helper.help(), registry, late


def other():
    return unused
""",
    "helper.py": f"from {PACKAGE}.deeper import depth\n\n\ndef help():\n    return depth\n",
    "deeper.py": "depth = 1\n",
    "late.py": "late = 1\n",
    "unused.py": "unused = 1\n",
    "entries/__init__.py": "class Registry:\n    pass\n\n\nregistry = Registry()\n",
    "entries/first.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / PACKAGE
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(dependencies, "OWN_PACKAGES", (PACKAGE,))
    clear_caches()
    yield folder
    clear_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def clear_caches() -> None:
    """Read the sources again; a process reads them once, since they do not change while it runs."""
    for kept in (dependencies._closure, dependencies._read, dependencies._file, dependencies._digest):
        kept.cache_clear()


def digest() -> str:
    clear_caches()
    return digest_of(importlib.import_module(f"{PACKAGE}.stage").work)


@pytest.mark.parametrize(
    "name", ["helper.py", "deeper.py", "late.py", "entries/__init__.py", "entries/first.py"]
)
def test_an_edit_of_what_the_work_imports_makes_it_run_again(name: str, package: Path) -> None:
    before = digest()
    (package / name).write_text(f"{FILES[name]}\n# edited\n")
    assert digest() != before


def test_a_new_entry_of_a_registry_makes_it_run_again(package: Path) -> None:
    before = digest()
    (package / "entries" / "second.py").write_text("")
    assert digest() != before


def test_an_edit_of_anything_else_changes_nothing(package: Path) -> None:
    before = digest()
    (package / "unused.py").write_text("unused = 2\n")
    assert digest() == before


@pytest.mark.parametrize(
    ("work", "used", "unused"),
    [
        (export, "pipeline/graph/exporter.py", "validation/judgement/judge.py"),
        # A list kept by hand had missed the next two
        (compile_variant, "pipeline/graph/session.py", "pipeline/release/model_card.py"),
        (compile_variant, "distilforge/text/batching.py", "distilforge/timing/rounds.py"),
        (compile_variant, "pipeline/passes/first_token.py", "validation/judgement/judge.py"),
        (compare, "validation/tasks/features.py", "pipeline/passes/first_token.py"),
        (time, "distilforge/timing/rounds.py", "validation/answers/accuracy.py"),
    ],
)
def test_stages_depend_on_what_they_use(work: Callable[..., object], used: str, unused: str) -> None:
    looked_at = modules_of(work)
    assert used in looked_at
    assert unused not in looked_at


def test_threads_can_ask_at_once() -> None:
    """Python 3.11.0 to 3.11.7 fails where two threads make syntax trees at once and one lets the other go on."""

    def let_others_go_on(_phase: str, _details: dict[str, int]) -> None:
        sleep(1e-5)

    threshold = gc.get_threshold()
    gc.callbacks.append(let_others_go_on)
    gc.set_threshold(50)
    try:
        clear_caches()
        with ThreadPoolExecutor(4) as threads:
            digests = list(threads.map(lambda _: digest_of(export), range(4)))
    finally:
        gc.callbacks.remove(let_others_go_on)
        gc.set_threshold(*threshold)
    assert len(set(digests)) == 1
