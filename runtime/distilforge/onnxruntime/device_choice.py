"""Which device a session of ONNX Runtime gets: the one that is asked for, or the first that fits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distilforge.cuda.capabilities import runs_on
from distilforge.cuda.device_names import having, named, names_device, one_of
from distilforge.cuda.driver import Device, Driver
from distilforge.errors import UnavailableError
from distilforge.manifest import Variant

if TYPE_CHECKING:
    import onnxruntime

# ONNX Runtime's name of a device's address on the PCI bus, in the metadata of the device
_PCI = "pci_bus_id"


def asked(
    provider: str, variant: Variant, providers: Sequence[str] | None
) -> tuple[tuple[str, ...], str | None]:
    """The names of ONNX Runtime's providers that `providers` asks for, and that of the device, if it names one.

    The device's name stands for `provider`, with which the variant runs. UnavailableError where that is not asked for,
    or more than once.
    """
    if providers is None:
        return (provider,), None
    devices = [name for name in providers if names_device(name)]
    names = tuple(provider if name in devices else name for name in providers)
    if provider not in names:
        raise UnavailableError(
            f"the variant {variant.name!r} runs with {provider}, and not with {', '.join(names)} alone",
            hint=f"name {provider} too, or open another variant",
        )
    if names.count(provider) > 1:
        raise UnavailableError(
            f"the variant {variant.name!r} runs on one device, and cannot use the providers {', '.join(providers)}",
            hint=f"pass one of {', '.join(devices or [provider])}",
        )
    return names, devices[0] if devices else None


def fitting(driver: Driver, capabilities: Sequence[str], variant: Variant) -> tuple[Device, ...]:
    """The devices of `capabilities`, which the provider supports, that the variant's engine supports too."""
    built_for = variant.compiled.capabilities if variant.compiled is not None else ()
    return tuple(
        device
        for device in driver.devices
        if runs_on(capabilities, device.capability) and runs_on(built_for, device.capability)
    )


def choices(
    driver: Driver | str, provider: str, capabilities: Sequence[str], variant: Variant, name: str | None
) -> tuple[Device, ...]:
    """The devices that fit, or the one called `name`; none where the driver, then a clause, does not tell any.

    Raises UnavailableError where there is no device called `name`, or where it does not fit.
    """
    if isinstance(driver, str):
        if name is not None:
            raise UnavailableError(f"there is no {name}: {driver}", hint="open a variant for the CPU")
        return ()
    fit = fitting(driver, capabilities, variant)
    if name is None:
        return fit
    chosen = named(name, driver.devices)
    if chosen not in fit:
        raise UnavailableError(
            f"{provider} does not run {variant.name!r} on {having([chosen])}", hint=one_of(fit)
        )
    return (chosen,)


def listed(
    devices: "Sequence[onnxruntime.OrtEpDevice]", choices: Sequence[Device], name: str | None
) -> "tuple[onnxruntime.OrtEpDevice, int]":
    """That of ONNX Runtime's `devices` which is the first of `choices`, or the only one if `name` was asked for.

    With it comes CUDA's number of it. ONNX Runtime has another order of devices than CUDA, but both know their
    addresses on the PCI bus. Where one of them does not tell them, it is the first device, as on a machine that has
    only one; UnavailableError if it has a `name`, since the first one may be another.
    """
    by_address = {str(device.device.metadata.get(_PCI, "")).lower(): device for device in devices}
    for choice in choices:
        if choice.pci and choice.pci.lower() in by_address:
            return by_address[choice.pci.lower()], choice.index
    if name is not None:
        raise UnavailableError(
            f"ONNX Runtime does not say which of its devices is {name}",
            hint="set CUDA_VISIBLE_DEVICES to that GPU alone, and leave `providers` out",
        )
    return devices[0], choices[0].index if choices else 0
