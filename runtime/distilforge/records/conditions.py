"""The conditions that a benchmark depends on: the machine, the versions of the engines, and the threads."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from distilforge.manifest import Manifest
from distilforge.records.processor import Processor, this_processor

_ALWAYS = frozenset({"distilforge", "numpy"})
_DRIVER = "cuda-driver"
_SUFFIX = ".dist-info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a benchmark; under other conditions its result does not count."""

    processor: Processor
    """The machine's processor."""
    gpus: tuple[str, ...]
    """Name and compute capability of each NVIDIA GPU, in CUDA's order; empty if no variant of the release uses one."""
    versions: Mapping[str, str]
    """Versions by package, of this package, numpy and the engines; `cuda-driver` is the newest CUDA it supports."""
    threads: int | None
    """How many threads one run may use; None means the engine's default."""


def present_conditions(manifest: Manifest, threads: int | None) -> Conditions:
    """The conditions of the release's variants in this process, for runs on `threads` threads."""
    gpus, driver_version = _gpus_and_driver(manifest)
    return Conditions(
        processor=this_processor(),
        gpus=gpus,
        versions={**_versions(_engine_words(manifest)), **driver_version},
        threads=threads,
    )


def _engine_words(manifest: Manifest) -> frozenset[str]:
    """The words of the targets' names, such as "onnxruntime" and "rtx".

    The packages of an engine begin with one of them: onnxruntime-gpu, onnxruntime-ep-nv-tensorrt-rtx, tensorrt-cu13.
    A package that begins with one by chance does no harm, except that its next version needs a new benchmark.
    """
    return frozenset(word for variant in manifest.variants for word in variant.target.split("-"))


def _uses_gpu(manifest: Manifest) -> bool:
    return any(variant.needs_gpu for variant in manifest.variants)


def _gpus_and_driver(manifest: Manifest) -> tuple[tuple[str, ...], dict[str, str]]:
    """The GPUs, and the driver's version by _DRIVER; both empty if no variant uses a GPU or there is none."""
    if not _uses_gpu(manifest):
        return (), {}
    # A release for the processor alone must not import anything of devices
    from distilforge.cuda.driver import survey

    driver = survey()
    if isinstance(driver, str):
        return (), {}
    gpus = tuple(
        f"{device.name}, compute capability {device.capability[0]}.{device.capability[1]}"
        for device in driver.devices
    )
    return gpus, {_DRIVER: ".".join(map(str, driver.version))}


def _versions(words: Iterable[str]) -> dict[str, str]:
    """Versions of the installed packages whose name begins with one of `words`, and of this package and numpy.

    They come from the names of the packages' folders (packaging.python.org, Recording installed projects).
    importlib.metadata has them too, but takes 10 ms to import, which is too long for `distilforge.open`.
    """
    beginnings = tuple(words)
    versions: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - a Path of every package takes ten times as long
        except OSError:
            continue  # not a folder, such as a zip file
        for entry in entries:
            if not entry.endswith(_SUFFIX):
                continue
            package, _, version = entry.removesuffix(_SUFFIX).partition("-")
            name = package.lower().replace("_", "-")
            if name in _ALWAYS or name.startswith(beginnings):
                # The first on the path is the one that Python imports
                versions.setdefault(name, version)
    return dict(sorted(versions.items()))
