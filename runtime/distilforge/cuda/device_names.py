"""Names of devices: those that users give, such as "cuda:1", and those that messages show."""

import re
from collections.abc import Sequence

from distilforge.cuda.capabilities import text
from distilforge.cuda.driver import Device
from distilforge.errors import UnavailableError

_DEVICE = re.compile(r"cuda:[0-9]+")


def having(devices: Sequence[Device]) -> str:
    """`devices` in words."""
    return ", ".join(f"{device.name} ({device.provider}) of {text(device.capability)}" for device in devices)


def names_device(provider: str) -> bool:
    """Whether `provider` is the name of a device, such as "cuda:1"."""
    return _DEVICE.fullmatch(provider) is not None


def named(provider: str, devices: Sequence[Device]) -> Device:
    """The one of `devices`, all of this machine, that `provider` names; UnavailableError where there is none."""
    chosen = next((device for device in devices if device.provider == provider), None)
    if chosen is None:
        raise UnavailableError(
            f"there is no {provider}; this machine has {having(devices)}", hint=one_of(devices)
        )
    return chosen


def one_of(devices: Sequence[Device]) -> str:
    """A hint that names `devices`; empty where there are none."""
    return f"pass one of {', '.join(device.provider for device in devices)}" if devices else ""
