"""Whether this machine has a GPU that can be timed, and what it is."""

import importlib

from distilforge.cuda import driver


def obstacle() -> str | None:
    """Why nothing can be timed on a GPU here; None if a GPU can be timed."""
    survey = driver.survey()
    if isinstance(survey, str):
        return survey
    try:
        torch = importlib.import_module("torch")
    except ImportError as cause:
        return f"torch cannot be imported: {cause}"
    if not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return f"torch {torch.__version__}, {build}, does not see a CUDA device; install a build for CUDA"
    return None


def describe() -> dict[str, str]:
    """The device that is used, its memory and the driver, for readers; only if there is no obstacle."""
    survey = driver.survey()
    assert not isinstance(survey, str), survey
    device = survey.devices[0]
    torch = importlib.import_module("torch")
    return {
        "device": device.name,
        "compute capability": ".".join(map(str, device.capability)),
        "device memory": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB",
        "driver": f"for CUDA {survey.version[0]}.{survey.version[1]}",
        "torch's CUDA": str(torch.version.cuda),
    }
