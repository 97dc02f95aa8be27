"""Why an engine cannot run on this machine: what it needs, and what the machine has."""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

from distilforge.cuda import runtime
from distilforge.cuda.capabilities import check, described, runs_on, text
from distilforge.cuda.driver import Device, Driver, survey
from distilforge.errors import ReleaseError
from distilforge.manifest import CompiledEngine, Variant
from distilforge.tensorrt.flavours import Flavour

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
VERSION_COMPATIBLE = "version_compatible"


def compiled(variant: Variant) -> CompiledEngine:
    """What the variant's compiler said of it; ReleaseError where the manifest lacks it, or says what cannot be."""
    if variant.compiled is None:
        raise ReleaseError(
            f"the variant {variant.name!r} is an engine, and the manifest does not say which: it has no 'compiled'",
            hint="publish the release again",
        )
    check(variant.compiled.capabilities)
    return variant.compiled


def obstacle(variant: Variant, flavour: Flavour, ask: Callable[[], Driver | str] = survey) -> str | None:
    """Why the variant cannot run here, as a clause, or None; the hardware first, for packages do not help there."""
    made = compiled(variant)
    driver = ask()
    lacking = lacking_device(driver, made)
    if isinstance(driver, str) or lacking is not None:
        return lacking
    return _lacking_package(flavour) or _old_driver(flavour, driver) or other_version(flavour, made)


def lacking_device(driver: Driver | str, made: CompiledEngine) -> str | None:
    """Why none of the driver's devices runs the engine, as a clause, or None; `driver` may say why there is none."""
    wanted = "an NVIDIA GPU"
    if made.capabilities:
        wanted += f" of compute capability {described(made.capabilities)}"
    if isinstance(driver, str):
        return f"it needs {wanted}, and {driver}"
    if not suitable(driver.devices, made):
        return f"it needs {wanted}, and this machine has {having(driver.devices)}"
    return None


def built(made: CompiledEngine) -> str:
    """What built the engine, and for which devices, in words."""
    return f"{made.flavour} {made.version} for {', '.join(made.capabilities) or 'the machine that built it'}"


def suitable(devices: Sequence[Device], made: CompiledEngine) -> tuple[Device, ...]:
    """Those that the engine is built for."""
    return tuple(device for device in devices if runs_on(made.capabilities, device.capability))


def having(devices: Sequence[Device]) -> str:
    """The devices in words."""
    return ", ".join(f"{device.name} ({device.provider}) of {text(device.capability)}" for device in devices)


def _lacking_package(flavour: Flavour) -> str | None:
    if not find_spec(flavour.module):
        return f"it needs {flavour.name}, which is not installed; {flavour.install}"
    if not has_module(runtime.MODULE):
        return f"it needs {runtime.PACKAGE}, which is not installed; pip install {runtime.PACKAGE}"
    return None


def _old_driver(flavour: Flavour, driver: Driver) -> str | None:
    """CUDA promises that a driver runs all releases of its major version and of older ones."""
    for package, major in _built_for(flavour):
        if driver.version[0] < major:
            has = f"{driver.version[0]}.{driver.version[1]}"
            return (
                f"it needs a driver for CUDA {major}.0 or later, which {package} is built for, and this machine's "
                f"driver is for CUDA {has}; update the driver, or install packages that are built for "
                f"CUDA {driver.version[0]}"
            )
    return None


def _built_for(flavour: Flavour) -> list[tuple[str, int]]:
    """The packages that name a major version of CUDA, with it; Jetson's system packages name none."""
    found = []
    for distribution in distributions():
        name = (distribution.name or "").replace("_", "-").lower()
        suffix = name.removeprefix(flavour.built_for)
        if suffix != name and suffix.isdigit():
            found.append((f"{name} {distribution.version}", int(suffix)))
        elif name == runtime.PACKAGE:
            found.append((f"{name} {distribution.version}", numbers(distribution.version)[0]))
    return found


def other_version(flavour: Flavour, made: CompiledEngine) -> str | None:
    """Why the installed version of the flavour's package does not run the engine, as a clause, or None."""
    found = installed(flavour)
    if found is None or not made.version:
        return None
    has, built = numbers(found), numbers(made.version)
    if made.options.get(VERSION_COMPATIBLE) == "true":
        if has >= built:
            return None
        return (
            f"it was built by {flavour.name} {made.version} and runs with that version and later ones, "
            f"and {found} is installed; pip install --upgrade {flavour.package}"
        )
    if has == built:
        return None
    return (
        f"it was built by {flavour.name} {made.version} and runs with that version alone, and {found} is installed; "
        f"pip install {flavour.package}=={made.version}, or build the release with {found}"
    )


def installed(flavour: Flavour) -> str | None:
    """The version of the flavour's package, None where only its module is there, as from a system package."""
    try:
        return version(flavour.package)
    except PackageNotFoundError:
        return None


def numbers(text: str) -> tuple[int, ...]:
    """The first four numbers of a version, which engines are bound to; what PyPI appends, as "post1", is no part."""
    found = _NUMBERS.match(text)
    return tuple(map(int, found.group().split(".")[:4])) if found else (0,)


def has_module(name: str) -> bool:
    """Whether the module `name` can be found; packages around it that are absent, too, mean that it cannot."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
