"""A registry finds the modules of its package, and does not hide what is wrong with them."""

import sys
from pathlib import Path

import pytest
from distilforge.registry import Registry, nearest


def write_package(folder: Path, name: str, modules: dict[str, str]) -> None:
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(
        "from distilforge.registry import Registry\nentries = Registry(__name__)\n", encoding="utf-8"
    )
    for module, source in modules.items():
        (package / f"{module}.py").write_text(f"from {name} import entries\n{source}\n", encoding="utf-8")


def registry_of(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Registry[str]:
    monkeypatch.syspath_prepend(str(folder))
    entries = __import__(name).entries
    assert isinstance(entries, Registry)
    return entries


def test_a_file_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(
        tmp_path,
        "plug_one",
        {"first": "entries.register('first')('1')", "odd": "entries.register('other-name')('2')"},
    )
    entries = registry_of(tmp_path, "plug_one", monkeypatch)
    assert entries.get("first") == "1"
    assert "plug_one.odd" not in sys.modules
    assert entries.get("other-name") == "2"
    assert entries.get("absent") is None
    assert entries.names() == ("first", "other-name")


def test_an_import_error_propagates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "plug_two", {"broken": "import a_package_that_is_not_there"})
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        registry_of(tmp_path, "plug_two", monkeypatch).get("anything")


def test_a_name_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "plug_three", dict.fromkeys(("one", "two"), "entries.register('same')('x')"))
    with pytest.raises(ValueError, match="two entries named 'same'"):
        registry_of(tmp_path, "plug_three", monkeypatch).names()


def test_nearest() -> None:
    assert nearest("fp31", ("fp32", "int8")) == "there are 'fp32', 'int8'; did you mean 'fp32'?"
    assert nearest("zzz", ("fp32",)) == "there are 'fp32'"
    assert nearest("zzz", ()) == "there are none"
