"""The wheel of the runtime that is installed here, and what it requires."""

from importlib.metadata import distribution
from pathlib import Path

import distilforge

from pipeline.packages.wheels import archive
from pipeline.packages.wheels.archive import WheelDescription

_NAME = "distilforge"


def requirements() -> tuple[str, ...]:
    """What the runtime requires without extras, as pip writes it."""
    return tuple(line for line in distribution(_NAME).requires or () if "extra ==" not in line)


def version() -> str:
    """The runtime's version."""
    return distribution(_NAME).version


def write(folder: Path) -> Path:
    """Write the wheel of the runtime that is imported here into `folder`, whether or not it was installed from one."""
    root = Path(distilforge.__file__).parent
    files: dict[str, Path | bytes] = {
        path.relative_to(root.parent).as_posix(): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    description = WheelDescription(
        name=_NAME,
        version=version(),
        summary=str(distribution(_NAME).metadata["Summary"]),
        requires=requirements(),
        requires_python=str(distribution(_NAME).metadata["Requires-Python"]),
    )
    return archive.write(description, files, folder)
