"""Why an engine cannot run on this machine: what the engine needs, and what the machine has."""

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from distilforge.cuda import runtime as cuda_runtime
from distilforge.cuda.capabilities import check, described, runs_on
from distilforge.cuda.device_names import having
from distilforge.cuda.driver import Device, Driver, survey
from distilforge.errors import ReleaseError
from distilforge.manifest import CompiledEngine, Variant
from distilforge.tensorrt.engine_runtime import EngineRuntime

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
VERSION_COMPATIBLE = "version_compatible"


def compiled(variant: Variant) -> CompiledEngine:
    """The manifest's entry for the variant's engine; ReleaseError where there is none, or one that makes no sense."""
    if variant.compiled is None:
        raise ReleaseError(
            f"the variant {variant.name!r} is an engine, and the manifest does not describe it: it has no 'compiled'",
            hint="publish the release again",
        )
    check(variant.compiled.capabilities)
    return variant.compiled


def obstacle(
    variant: Variant, engine_runtime: EngineRuntime, ask: Callable[[], Driver | str] = survey
) -> str | None:
    """Why the variant cannot run here, as a clause, or None if it can.

    Hardware comes first: where it does not fit, installing packages does not help.
    """
    engine = compiled(variant)
    driver = ask()
    lacking = lacking_device(driver, engine)
    if isinstance(driver, str) or lacking is not None:
        return lacking
    return (
        _lacking_package(engine_runtime)
        or _old_driver(engine_runtime, driver)
        or other_version(engine_runtime, engine)
    )


def lacking_device(driver: Driver | str, engine: CompiledEngine) -> str | None:
    """Why no device of `driver` runs the engine, as a clause, or None if one does.

    `driver` is a clause itself where there is no driver or no device.
    """
    wanted = "an NVIDIA GPU"
    if engine.capabilities:
        wanted += f" of compute capability {described(engine.capabilities)}"
    if isinstance(driver, str):
        return f"it needs {wanted}, and {driver}"
    if not suitable(driver.devices, engine):
        return f"it needs {wanted}, and this machine has {having(driver.devices)}"
    return None


def built(engine: CompiledEngine) -> str:
    """The compiler of the engine and the devices that it is for, in words."""
    return f"{engine.flavour} {engine.version} for {', '.join(engine.capabilities) or 'the machine that built it'}"


def suitable(devices: Sequence[Device], engine: CompiledEngine) -> tuple[Device, ...]:
    """Those of `devices` that the engine is for."""
    return tuple(device for device in devices if runs_on(engine.capabilities, device.capability))


def _lacking_package(engine_runtime: EngineRuntime) -> str | None:
    if not find_spec(engine_runtime.module):
        return f"it needs {engine_runtime.name}, which is not installed; {engine_runtime.install}"
    if not has_module(cuda_runtime.MODULE):
        return f"it needs {cuda_runtime.PACKAGE}, which is not installed; pip install {cuda_runtime.PACKAGE}"
    return None


def _old_driver(engine_runtime: EngineRuntime, driver: Driver) -> str | None:
    """Why the driver is too old, as a clause, or None if it is not.

    A driver runs all releases of its own major version of CUDA, and of older ones.
    """
    for package, major in _built_for(engine_runtime):
        if driver.version[0] < major:
            has = f"{driver.version[0]}.{driver.version[1]}"
            return (
                f"it needs a driver for CUDA {major}.0 or later, which {package} is built for, and this machine's "
                f"driver is for CUDA {has}; update the driver, or install packages that are built for "
                f"CUDA {driver.version[0]}"
            )
    return None


def _built_for(engine_runtime: EngineRuntime) -> list[tuple[str, int]]:
    """The installed packages for one major version of CUDA, with that version; Jetson's system packages have none."""
    from importlib.metadata import distributions  # slow to import, and only machines with a GPU need it

    packages = []
    for distribution in distributions():
        name = (distribution.name or "").replace("_", "-").lower()
        suffix = name.removeprefix(engine_runtime.cuda_package)
        if suffix != name and suffix.isdigit():
            packages.append((f"{name} {distribution.version}", int(suffix)))
        elif name == cuda_runtime.PACKAGE:
            packages.append((f"{name} {distribution.version}", numbers(distribution.version)[0]))
    return packages


def other_version(engine_runtime: EngineRuntime, engine: CompiledEngine) -> str | None:
    """Why the installed version of the runtime does not run the engine, as a clause, or None if it does."""
    present = installed(engine_runtime)
    if present is None or not engine.version:
        return None
    has, built = numbers(present), numbers(engine.version)
    if engine.options.get(VERSION_COMPATIBLE) == "true":
        if has >= built:
            return None
        return (
            f"it was built by {engine_runtime.name} {engine.version} and runs with that version and later ones, "
            f"and {present} is installed; pip install --upgrade {engine_runtime.package}"
        )
    if has == built:
        return None
    return (
        f"it was built by {engine_runtime.name} {engine.version} and runs with that version alone, and {present} is "
        f"installed; pip install {engine_runtime.package}=={engine.version}, or build the release with {present}"
    )


def installed(engine_runtime: EngineRuntime) -> str | None:
    """The version of the runtime's package; None where there is only the module, as from a system package."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, as above

    try:
        return version(engine_runtime.package)
    except PackageNotFoundError:
        return None


def numbers(text: str) -> tuple[int, ...]:
    """The first four numbers of a version, which engines depend on; a suffix such as "post1" does not count."""
    match = _NUMBERS.match(text)
    return tuple(map(int, match.group().split(".")[:4])) if match else (0,)


def has_module(name: str) -> bool:
    """Whether the module `name` can be found; it cannot where a package that contains it is absent."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
