"""The versions of tools, a digest of our own source, the git commit, and the host, for the record of a result."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from pathlib import Path

from pipeline.store import digests

_TOOLS = (
    "distilforge-pipeline",
    "torch",
    "onnx",
    "onnx-ir",
    "onnxscript",
    "onnxruntime",
    "tokenizers",
    "safetensors",
    "numpy",
)
_SAME_MODULE = {"onnxruntime": ("onnxruntime-gpu",)}


def installed(package: str) -> str | None:
    """The installed version of `package`, or of one that brings the same module, or None; none is imported."""
    for name in (package, *_SAME_MODULE.get(package, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def of(*packages: str) -> dict[str, str]:
    """The installed versions of `packages`, by name; packages that are not installed are left out."""
    versions = {package: installed(package) for package in packages}
    return {package: version for package, version in versions.items() if version is not None}


def tools(*packages: str) -> dict[str, str]:
    """The versions in the provenance of a release that was made with `packages` too."""
    return {"python": platform.python_version(), **of(*_TOOLS, *packages)}


def source(*names: str) -> str:
    """A digest of our own source, by which an edit is noticed; `names` are packages (with all modules) and modules."""
    files = [path for name in names for path in _files(name)]
    return digests.of_value([[path.name, digests.of_file(path)] for path in files])


def git_commit() -> str:
    """The commit of the pipeline's checkout, with `+changes` if tracked files differ; "unknown" outside git."""
    root = Path(__file__).parent
    try:
        # A repository around an installed package does not track this file, so its commit means nothing here
        _git(root, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def host() -> str:
    """This machine in one line: CPU model, usable cores, system."""
    return f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}"


def _files(name: str) -> list[Path]:
    package, _, module = name.partition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent.joinpath(*module.split(".")) if module else Path(spec.origin).parent
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown CPU")
