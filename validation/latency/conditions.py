"""The conditions under which a report's numbers were measured: machine, threads and versions."""

import functools
import importlib.metadata
import os
import platform
from pathlib import Path

_PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "numpy", "tokenizers", "distilforge")


def conditions(threads: int) -> dict[str, str]:
    """Machine, threads and versions, by name, for readers of the report."""
    return {
        "processor": processor(),
        "cores": f"{physical_cores()} this process may use",
        "threads": f"{threads} for eager PyTorch and for every variant",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


@functools.cache
def physical_cores() -> int:
    """The cores on which this process may run; hardware threads of one core share its arithmetic and count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    topology = Path("/sys/devices/system/cpu")
    siblings = {
        _text(topology / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)
        for cpu in os.sched_getaffinity(0)
    }
    return len(siblings)


def processor() -> str:
    """The processor's name, as the system reports it."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
