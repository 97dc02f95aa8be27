"""Whether this machine has a GPU that can be timed, and what it is."""

import importlib
import subprocess

from distilforge.cuda import driver

PROVIDER = "cuda:0"
"""The device that every subject uses, since it is PyTorch's and ONNX Runtime's default."""
_CLOCKS = (
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "clocks_event_reasons.active",
    "power.draw",
    "power.limit",
    "persistence_mode",
)


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
    device = next(device for device in survey.devices if device.provider == PROVIDER)
    torch = importlib.import_module("torch")
    return {
        "device": device.name,
        "compute capability": ".".join(map(str, device.capability)),
        "device memory": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB",
        "driver": f"for CUDA {survey.version[0]}.{survey.version[1]}",
        "torch's CUDA": str(torch.version.cuda),
    }


def clocks() -> str:
    """The clocks of the device now, what limits them, and whether they are locked, as nvidia-smi tells; for readers."""
    survey = driver.survey()
    assert not isinstance(survey, str), survey
    address = next(device.pci for device in survey.devices if device.provider == PROVIDER)
    command = [
        "nvidia-smi",
        f"--query-gpu={','.join(_CLOCKS)}",
        "--format=csv,noheader",
        *(("--id", address) if address else ()),
    ]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as cause:
        return f"not known: {cause}"
    return clocks_text(printed)


def clocks_text(printed: str) -> str:
    """The values that nvidia-smi `printed`, each with its name."""
    values = printed.strip().splitlines()[0].split(", ") if printed.strip() else []
    return ", ".join(f"{name} {value}" for name, value in zip(_CLOCKS, values, strict=False))
