"""The registry: names found, nearest names suggested, nothing lost in silence."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str


PACKAGE = """
from pipeline.registry import Registry
tools = Registry("tool", __name__)
"""
MODULE = """
from {package} import tools
from tests_tool import Tool
tools.add(Tool(name="{name}"))
"""


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`make_package(name, modules)`: a package of tools on disk; returns its registry."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tests_tool", sys.modules[__name__])

    def make(name: str, modules: dict[str, str]) -> Registry[Tool]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(PACKAGE)
        for module, content in modules.items():
            (folder / f"{module}.py").write_text(content.format(package=name, name=module))
        return __import__(name).tools

    return make


def test_finds_what_the_files_of_the_package_define(make_package) -> None:
    tools = make_package("tools_found", {"saw": MODULE, "hammer": MODULE})
    assert tools.names() == ("hammer", "saw")
    assert tools.find("saw").name == "saw"


def test_unknown_name_suggests_the_nearest(make_package) -> None:
    tools = make_package("tools_unknown", {"saw": MODULE, "hammer": MODULE})
    with pytest.raises(
        UsageError, match=r"unknown tool 'hamer'; known: hammer, saw\n  hint: did you mean 'hammer'\?"
    ):
        tools.find("hamer")


def test_two_definitions_of_a_name_are_an_error(make_package) -> None:
    twice = MODULE.replace("{name}", "saw")
    tools = make_package("tools_twice", {"saw": MODULE, "other": twice})
    with pytest.raises(ValueError, match="two definitions of the tool 'saw'"):
        tools.names()


def test_an_import_error_propagates(make_package) -> None:
    tools = make_package("tools_broken", {"saw": MODULE, "broken": "import a_package_that_is_not_there"})
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        tools.find("saw")
