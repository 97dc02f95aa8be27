"""The self-test of a Core ML package as a module, whose evaluation of a model file tests use too."""

import importlib.util
from pathlib import Path
from types import ModuleType

SCRIPT = Path("pipeline/packages/files/coreml/self_test.py")


def load(path: Path = SCRIPT) -> ModuleType:
    """The script at `path`, by default the one that packages copy."""
    spec = importlib.util.spec_from_file_location("coreml_self_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
