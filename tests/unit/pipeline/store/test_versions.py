"""Installed versions, digests that notice an edit, the commit and the host."""

import subprocess
from pathlib import Path

import pytest
import torch

from pipeline.store import versions


def test_installed_versions() -> None:
    assert versions.installed("torch") == torch.__version__
    assert versions.installed("no-such-package") is None
    assert set(versions.of("numpy", "no-such-package")) == {"numpy"}
    assert {"python", "torch", "onnxruntime"} <= set(versions.tools())


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


def test_the_commit_is_the_one_that_git_names() -> None:
    root = Path(versions.__file__).parent
    git = ["git", "-C", str(root)]
    tracked = subprocess.run(
        [*git, "ls-files", "--error-unmatch", "versions.py"], capture_output=True, check=False
    )
    named = versions.git_commit()
    if tracked.returncode:
        assert named == "unknown"
    else:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert named in (commit, f"{commit}+changes")


def test_the_host_names_its_cores() -> None:
    assert " cores, " in versions.host()
