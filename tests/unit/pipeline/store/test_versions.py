"""Installed versions, digests that notice an edit, and the host."""

import importlib.metadata
from pathlib import Path

import pytest
import torch

from pipeline.store import versions


def test_installed_versions() -> None:
    assert versions.installed("torch") == torch.__version__
    assert versions.installed("no-such-package") is None
    assert set(versions.of("numpy", "no-such-package")) == {"numpy"}
    assert {"python", "torch", "onnxruntime"} <= set(versions.tools())


def test_a_package_for_gpus_brings_the_same_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "onnxruntime-gpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.31.1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert versions.installed("onnxruntime") == "1.31.1"
    assert versions.installed("tokenizers") is None


def test_the_source_digest_changes_with_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package_to_digest"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "module.py", "inner/__init__.py"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    whole, module = versions.source("a_package_to_digest"), versions.source("a_package_to_digest.module")
    (package / "inner" / "__init__.py").write_text("edited = True")
    assert versions.source("a_package_to_digest") != whole
    assert versions.source("a_package_to_digest.module") == module
    (package / "module.py").write_text("edited = True")
    assert versions.source("a_package_to_digest.module") != module


def test_the_host_names_its_cores() -> None:
    assert " cores, " in versions.host()
