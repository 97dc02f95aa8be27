"""The release as a Python wheel."""

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from distilforge.errors import ReleaseError

from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.wheels import archive, runtime
from pipeline.packages.wheels.archive import WheelDescription

_MODULE = '''\
"""The release {name} {version}: `open()` answers a session that is called on text."""

from pathlib import Path

import distilforge
from distilforge import Session

RELEASE = Path(__file__).with_name("release")
"""The release's folder, for `distilforge.open`."""


def open(*, threads: int | None = None) -> Session:
    """Open the release; `threads` is how many threads one run may use, None for the engine's default."""
    return distilforge.open(RELEASE, threads=threads)
'''


@package_kind(
    "wheel",
    help="A Python wheel: pip installs it beside distilforge, and its module answers in two lines.",
    holds=("onnxruntime-cpu:*", "openvino:*"),
)
def write_wheel(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the wheel and a self-test; nothing is downloaded or built."""
    module = _module(request.manifest.name)
    with tempfile.TemporaryDirectory() as temporary:
        release = Path(temporary)
        manifest = release_files.write_release(request, release / "release")
        files: dict[str, Path | bytes] = {
            f"{module}/{path.relative_to(release).as_posix()}": path
            for path in sorted(release.rglob("*"))
            if path.is_file()
        }
        files[f"{module}/py.typed"] = b""
        files[f"{module}/__init__.py"] = _MODULE.format(
            name=manifest.name, version=request.manifest.version
        ).encode()
        needed = f"distilforge>={runtime.version()}"
        description = WheelDescription(
            name=module,
            version=_version(manifest.provenance.created, manifest.version),
            summary=f"The release {manifest.name}, head {manifest.head}, for distilforge.",
            requires=(needed, *_engine(request)),
        )
        wheel = archive.write(description, files, folder)
    runtime.write(folder)
    static_files.copy("wheel", folder)
    static_files.copy("shared", folder)
    static_files.copy("runtime", folder)
    return PackageContents(
        usage=f"```sh\npip install --find-links . ./{wheel.name}\n```\n\n```python\nimport {module}\n"
        f"print({module}.open()({request.example_inputs}))\n```\n\nIt needs `{needed}`, whose wheel is "
        "beside it: `--find-links` names this folder, and an index brings the rest.",
        self_test=("python", "self_test.py"),
        needs=("`distilforge` and `pip`",),
    )


def _module(name: str) -> str:
    """The name of the module for a release's name."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"{words}_release" if words[:1].isalpha() else f"release_{words}"


def _version(created: str, digest: str) -> str:
    """A version that rises with the time, and that names the release's own version."""
    try:
        moment = datetime.fromisoformat(created).astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise ReleaseError(
            f"the release says that it was created at {created!r:.80}, which is not a time in ISO 8601",
            hint="build it again: the wheel's version rises with the time",
        ) from cause
    return f"{moment.year}.{moment.month}.{moment.day}.{moment.hour * 100 + moment.minute}+{digest}"


def _engine(request: PackageRequest) -> tuple[str, ...]:
    """The engine that distilforge does not install."""
    return ("openvino>=2026.4",) if request.variant.target == "openvino" else ()
