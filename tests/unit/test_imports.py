"""Imports point one way, between houses and between rooms."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOREIGN_TO_APPLICATIONS = {"torch", "transformers", "onnx", "onnx_ir", "onnxscript", "scipy", "sklearn"}
FORBIDDEN = {
    "model_src": {"pipeline", "validation", "distilforge", "demo", "transformers"},
    "runtime/distilforge": {"pipeline", "validation", "model_src", "demo"} | FOREIGN_TO_APPLICATIONS,
    "validation": {"pipeline", "demo", "transformers"},
    "pipeline": {"demo", "transformers"},
}
# Optional there: the token ids of a release are compared with its own
ALLOWED = {"validation/token_ids/oracle.py": {"transformers"}}
# Of pipeline/: what each room may import besides itself, errors.py and registry.py
ROOMS: dict[str, set[str]] = {
    "store": set(),
    "graph": {"store"},
    "engines": {"graph", "store"},
    "targets": {"engines", "graph", "store"},
    "recipe": {"engines", "store", "targets"},
    "passes": {"graph"},
    "precision": {"graph", "passes", "recipe"},
    "release": {"graph", "store"},
    "stages": {"engines", "graph", "passes", "precision", "recipe", "release", "store", "targets"},
    "bisection": {"graph", "passes", "precision", "stages", "store"},
    "tuning": {"graph", "passes", "precision", "recipe", "release", "stages", "store", "targets", "build"},
    "build": {"graph", "recipe", "release", "stages", "store", "targets"},
    "rebuild": {"build", "recipe", "release", "stages", "store"},
    "cli": {
        "bisection",
        "build",
        "engines",
        "passes",
        "precision",
        "rebuild",
        "recipe",
        "release",
        "stages",
        "store",
        "targets",
        "tuning",
    },
}
EVERYBODYS = {"errors", "registry"}
TOP_FILES = 5


def imported(path: Path) -> set[str]:
    """Top-level packages that `path` imports, anywhere in it."""
    return {name.partition(".")[0] for name in modules(path)}


def modules(path: Path) -> set[str]:
    """Every module that `path` imports, and every name that it imports from one, dotted."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms(path: Path) -> set[str]:
    """The rooms of pipeline/ that `path` imports from."""
    parts = [name.split(".") for name in modules(path)]
    return {names[1] for names in parts if names[0] == "pipeline" and len(names) > 1}


@pytest.mark.parametrize("house", FORBIDDEN)
def test_a_house_imports_nothing_above_it(house: str) -> None:
    files = sorted((ROOT / house).rglob("*.py"))
    assert files
    offences = {
        str(path): sorted(
            imported(path) & FORBIDDEN[house] - ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
        )
        for path in files
    }
    assert {path: names for path, names in offences.items() if names} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_the_rooms_that_it_may(room: str) -> None:
    place = ROOT / "pipeline" / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert files
    offences = {str(path): sorted(rooms(path) - ROOMS[room] - EVERYBODYS - {room}) for path in files}
    assert {path: names for path, names in offences.items() if names} == {}


def test_every_room_is_in_the_table() -> None:
    names = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert names == set(ROOMS) - {"build", "rebuild"}


def test_the_top_of_the_pipeline_is_no_heap() -> None:
    assert len(list((ROOT / "pipeline").glob("*.py"))) <= TOP_FILES
