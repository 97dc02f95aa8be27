"""Whether this machine has what a run on a GPU needs."""

import importlib

from distilforge.cuda import driver


def obstacle() -> str | None:
    """Why nothing can be timed on a GPU here, or None."""
    found = driver.survey()
    if isinstance(found, str):
        return found
    try:
        torch = importlib.import_module("torch")
    except ImportError as cause:
        return f"torch does not import: {cause}"
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return f"torch {torch.__version__}, {built}, sees no CUDA device; install a build for CUDA"
    return None


def describe() -> dict[str, str]:
    """The device that is used, its memory and the driver, by name, for people to read."""
    found = driver.survey()
    assert not isinstance(found, str), found
    device = found.devices[0]
    torch = importlib.import_module("torch")
    return {
        "device": device.name,
        "compute capability": ".".join(map(str, device.capability)),
        "device memory": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB",
        "driver": f"for CUDA {found.version[0]}.{found.version[1]}",
        "torch's CUDA": str(torch.version.cuda),
    }
