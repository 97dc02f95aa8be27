"""The self-test of a Core ML package as a module, whose evaluation of a model file tests use too."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPT = Path("pipeline/packages/files/coreml/self_test.py")
SHARED = Path("pipeline/packages/files/shared")


def load(path: Path = SCRIPT) -> ModuleType:
    """The script at `path`, by default the one that packages copy."""
    spec = importlib.util.spec_from_file_location("coreml_self_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # In a package, what it imports lies beside it
    sys.path.insert(0, str(SHARED.absolute()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
