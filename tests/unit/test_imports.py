"""Imports point one way: pipeline -> validation -> model_src, runtime."""

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


def imported(path: Path) -> set[str]:
    """Top-level packages that `path` imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_nothing_above_it(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    offences = {str(path): sorted(imported(path) & FORBIDDEN[room]) for path in files}
    assert {path: names for path, names in offences.items() if names} == {}
