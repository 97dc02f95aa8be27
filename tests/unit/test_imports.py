"""Imports point one way, between houses and between rooms."""

import ast
from functools import cache
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
# What each room may import besides itself and EVERYBODYS: only rooms above it in the table, so that there is no circle.
# A room is a folder, or a file that stands alone
ROOMS: dict[str, dict[str, set[str]]] = {
    "pipeline": {
        "store": set(),
        "graph": set(),
        "engines": {"graph", "store"},
        "targets": {"engines", "graph", "store"},
        "recipe": {"engines", "store", "targets"},
        "passes": {"graph"},
        "precision": {"graph", "passes", "recipe"},
        "release": {"graph", "store"},
        "stages": {"engines", "graph", "passes", "precision", "recipe", "release", "store", "targets"},
        "packages": {"graph", "store"},
        "remote": {"store"},
        "bisection": {"graph", "passes", "precision", "stages", "store"},
        "build": {"graph", "recipe", "release", "stages", "store", "targets"},
        "rebuild": {"build", "recipe", "release", "stages", "store"},
        "tuning": {"graph", "passes", "precision", "recipe", "release", "stages", "store", "targets"},
        "cli": {
            "bisection",
            "build",
            "engines",
            "packages",
            "passes",
            "precision",
            "rebuild",
            "recipe",
            "release",
            "remote",
            "stages",
            "store",
            "targets",
            "tuning",
        },
    },
    "distilforge": {
        "affinity": set(),
        "json_text": set(),
        "layouts": set(),
        "logits": set(),
        "onnx_fields": set(),
        "plugin": set(),
        "printable": set(),
        "messages": set(),
        "status_line": {"messages"},
        "urls": set(),
        "storage": {"urls"},
        "telemetry": set(),
        "user_cache": set(),
        "versions": set(),
        "interruption": set(),
        "cuda": set(),
        "reader": {"json_text"},
        "manifest": {"reader"},
        "timing": {"affinity", "manifest"},
        "engine": {"cuda", "manifest"},
        "kept_tokens": {"engine", "manifest"},
        "text": {"engine", "manifest"},
        "tokenizer": {"json_text", "text"},
        "checks": {"engine", "manifest", "onnx_fields", "tokenizer"},
        "streaming": {"checks"},
        "batching": {"checks", "engine", "manifest"},
        "forks": set(),
        "session": {
            "batching",
            "checks",
            "cuda",
            "engine",
            "forks",
            "logits",
            "manifest",
            "text",
            "tokenizer",
        },
        "heads": {"checks", "logits", "session", "streaming", "text", "tokenizer"},
        "contents": {"manifest", "text"},
        "release": {"checks", "contents", "heads", "layouts", "manifest", "session", "urls"},
        "trust": {"contents", "json_text", "manifest", "release"},
        "leftovers": set(),
        "lock": set(),
        "worker_thread": set(),
        "remote": {
            "leftovers",
            "lock",
            "contents",
            "json_text",
            "manifest",
            "reader",
            "release",
            "status_line",
            "storage",
            "trust",
            "urls",
            "user_cache",
        },
        "tensorrt": {"checks", "cuda", "engine", "forks", "kept_tokens", "manifest", "user_cache"},
        "records": {"affinity", "cuda", "manifest", "reader", "user_cache"},
        "openvino": {"affinity", "checks", "engine", "manifest", "plugin", "user_cache", "versions"},
        "machine": {"openvino", "records", "versions"},
        "onnxruntime": {
            "affinity",
            "checks",
            "contents",
            "cuda",
            "engine",
            "forks",
            "kept_tokens",
            "machine",
            "manifest",
            "onnx_fields",
            "openvino",
            "plugin",
            "tensorrt",
            "user_cache",
            "versions",
            "worker_thread",
        },
        "backends": {"engine", "machine", "manifest", "onnxruntime", "openvino", "plugin", "tensorrt"},
        "opening": {
            "backends",
            "checks",
            "contents",
            "engine",
            "heads",
            "manifest",
            "records",
            "release",
            "session",
            "timing",
            "tokenizer",
            "trust",
        },
        "bulk": {
            "affinity",
            "checks",
            "heads",
            "json_text",
            "lock",
            "opening",
            "printable",
            "reader",
            "session",
            "status_line",
            "storage",
            "streaming",
            "timing",
            "urls",
            "user_cache",
        },
        "benchmark": {
            "bulk",
            "checks",
            "manifest",
            "opening",
            "records",
            "release",
            "session",
            "storage",
            "streaming",
            "timing",
            "urls",
        },
        "serve": {
            "batching",
            "checks",
            "engine",
            "heads",
            "json_text",
            "manifest",
            "opening",
            "session",
        },
        "command_line": {
            "benchmark",
            "bulk",
            "interruption",
            "messages",
            "printable",
            "remote",
            "serve",
            "urls",
        },
        "__main__": {"command_line", "interruption"},
        "__init__": {"heads", "opening", "session", "telemetry"},
    },
    "validation": {
        "gates": set(),
        "statistics": set(),
        "reports": set(),
        "tasks": {"statistics"},
        "data": {"tasks"},
        "answers": {"gates", "reports", "statistics", "tasks"},
        "judgement": {"answers", "gates", "reports", "statistics"},
        "latency": {"answers", "gates", "judgement", "reports"},
        "token_ids": {"data", "judgement", "reports", "tasks"},
        "validate": {"answers", "data", "gates", "judgement", "latency", "reports", "tasks"},
    },
    "bench": {
        "contest": set(),
        "timing_trial": set(),
        "batching_trial": set(),
        "models": {"contest"},
        "subjects": {"contest", "models"},
        "tables": {"contest"},
        "build_cost": {"contest", "models"},
        "bulk_overhead": {"contest"},
        "cold_start": {"contest"},
        "command_line": {"contest", "tables"},
        "texts": {"contest", "models", "subjects", "tables"},
        "cpu": {"build_cost", "contest", "models", "subjects", "tables"},
        "gpu": {"command_line", "contest", "models", "tables"},
        "agreement": {"command_line", "contest", "cpu", "subjects", "texts"},
        "__main__": {"command_line", "contest", "cpu", "models", "subjects", "tables", "texts"},
    },
}
FOLDERS = {
    "pipeline": ROOT / "pipeline",
    "distilforge": ROOT / "runtime" / "distilforge",
    "validation": ROOT / "validation",
    "bench": ROOT / "bench",
}
EVERYBODYS = {
    "pipeline": {"errors", "registry"},
    "distilforge": {"errors", "limits", "registry"},
    "validation": {"errors"},
    "bench": set(),
}
HOUSES = (ROOT / "model_src", *FOLDERS.values())
TOP_FILES = 5


def imported(path: Path) -> set[str]:
    """Top-level packages that `path` imports, anywhere in it."""
    return {name.partition(".")[0] for name in modules(path)}


@cache
def modules(path: Path) -> frozenset[str]:
    """Every module that `path` imports, and every name that it imports from one, dotted."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def files_of(house: str, room: str) -> list[Path]:
    """The files of a room."""
    place = FOLDERS[house] / room
    return sorted(place.rglob("*.py")) if (place / "__init__.py").is_file() else [place.with_suffix(".py")]


def rooms_of(house: str) -> set[str]:
    """Every room that there is: a folder with modules, or a module at the house's top."""
    return {
        path.stem if path.is_file() else path.name
        for path in FOLDERS[house].iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }


def rooms(house: str, path: Path) -> set[str]:
    """The rooms of `house` that `path` imports from."""
    parts = [name.split(".") for name in modules(path)]
    return {names[1] for names in parts if names[0] == house and len(names) > 1}


def module_name(path: Path, house: Path) -> str:
    """The dotted name of the module in `path`, a file of `house`."""
    parts = [house.name, *path.relative_to(house).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


@pytest.mark.parametrize(("house", "room"), [(house, room) for house in ROOMS for room in ROOMS[house]])
def test_a_room_imports_from_the_rooms_that_it_may(house: str, room: str) -> None:
    allowed = ROOMS[house][room] | EVERYBODYS[house] | {room}
    offences = {str(path): sorted(rooms(house, path) - allowed) for path in files_of(house, room)}
    assert {path: names for path, names in offences.items() if names} == {}


@pytest.mark.parametrize(("house", "room"), [(house, room) for house in ROOMS for room in ROOMS[house]])
def test_a_room_imports_from_every_room_of_its_row(house: str, room: str) -> None:
    used = set().union(*(rooms(house, path) for path in files_of(house, room)))
    assert ROOMS[house][room] - used == set()


@pytest.mark.parametrize("house", ROOMS)
def test_every_room_is_in_the_table(house: str) -> None:
    assert rooms_of(house) - {"__init__"} == set(ROOMS[house]) - {"__init__"} | EVERYBODYS[house]


@pytest.mark.parametrize("house", ROOMS)
def test_the_table_points_one_way(house: str) -> None:
    above: set[str] = set()
    for room, allowed in ROOMS[house].items():
        assert allowed <= above, room
        above.add(room)


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_modules_import_each_other_in_no_circle(house: Path) -> None:
    """An import inside a function counts too: it only hides a circle."""
    paths = {module_name(path, house): path for path in sorted(house.rglob("*.py"))}
    imports = {
        name: {dotted if dotted in paths else dotted.rpartition(".")[0] for dotted in modules(path)} - {name}
        for name, path in paths.items()
    }
    while free := {name for name, targets in imports.items() if not targets & imports.keys()}:
        imports = {name: targets for name, targets in imports.items() if name not in free}
    assert imports == {}


def test_the_top_of_the_pipeline_is_no_heap() -> None:
    assert len(list((ROOT / "pipeline").glob("*.py"))) <= TOP_FILES
