"""One archive for a machine without a network: release, runtime and all wheels."""

import gzip
import platform
import shlex
import sys
import tarfile
import tempfile
from pathlib import Path

from distilforge.onnxruntime.engine import OLDEST
from distilforge.versions import is_older

from pipeline.errors import UsageError
from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.assembly.examples import EXAMPLES
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.wheels import download, runtime
from pipeline.registry import unknown
from pipeline.store import digests

_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


@package_kind(
    "tar",
    help="One archive for a machine without a network: the release, the runtime and all wheels.",
    holds=("onnxruntime-cpu:*",),
    options=("platform", "python", "onnxruntime"),
)
def write_tar(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the archive and a self-test; downloads the wheels.

    Raises UsageError for a platform or a Python that the runtime has no wheels for, and StageError if pip fails.
    """
    machine = request.options.platform or platform.machine()
    if machine not in download.PLATFORMS:
        raise unknown("platform", machine, tuple(download.PLATFORMS))
    python = request.options.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    if python not in _PYTHONS:
        raise UsageError(
            f"no wheels for Python {python!r}; known: {', '.join(_PYTHONS)}", hint="name one with --python"
        )
    with tempfile.TemporaryDirectory() as temporary:
        stem = f"{request.manifest.name}-{request.manifest.version}-linux-{machine}-py{python}"
        root = Path(temporary) / stem
        root.mkdir()
        release_files.write_release(request, root / "release")
        pins = _write_wheels(request, root, machine, python)
        (root / "python-version").write_text(f"{python}\n", encoding="utf-8")
        (root / EXAMPLES).write_bytes((folder / EXAMPLES).read_bytes())
        static_files.copy("tar", root, ("install.py",))
        static_files.copy("runtime", root)
        (root / "README.md").write_text(_readme(stem, request), encoding="utf-8")
        archive = folder / f"{stem}.tar.gz"
        write_archive(root, archive)
    static_files.copy("tar", folder, ("self_test.py",))
    static_files.copy("shared", folder)
    return PackageContents(
        usage=usage(request, stem, machine, python, pins),
        self_test=("python", "self_test.py"),
        needs=(f"Linux on {machine} with Python {python} and its module `venv`",),
        limits=_limits(request, machine),
    )


def write_archive(root: Path, archive: Path) -> None:
    """Write the folder `root` as a .tar.gz whose bytes depend on the files' names and contents alone."""
    with (
        archive.open("wb") as stream,
        # Weights hardly shrink: more effort only takes longer
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as opened,
    ):
        for path in [root, *sorted(root.rglob("*"))]:
            entry = opened.gettarinfo(path, arcname=path.relative_to(root.parent).as_posix())
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mode = _FOLDER_MODE if path.is_dir() else _FILE_MODE
            if path.is_dir():
                opened.addfile(entry)
            else:
                with path.open("rb") as content:
                    opened.addfile(entry, content)


def _write_wheels(request: PackageRequest, root: Path, machine: str, python: str) -> tuple[str, ...]:
    """Write all wheels, and requirements.txt with their digests; what was pinned of the runtime's requirements."""
    wheels = root / "wheels"
    wheels.mkdir()
    asked = request.options.onnxruntime
    if asked is not None and is_older(asked, OLDEST):
        raise UsageError(
            f"the runtime needs onnxruntime {OLDEST} or later, found --onnxruntime {asked!r:.40}",
            hint="name a later one, or leave it out for the one that validated the release",
        )
    pins = download.pins(request.manifest.provenance.tools, request.options.onnxruntime)
    constraints = root / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    download.download(runtime.requirements(), constraints, wheels, platform=machine, python=python)
    constraints.unlink()
    runtime.write(wheels)
    lines = [
        f"./wheels/{path.name} --hash=sha256:{digests.of_file(path)}" for path in sorted(wheels.iterdir())
    ]
    (root / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tuple(pin for pin in pins if pin.startswith(("onnxruntime==", "numpy==", "tokenizers==")))


def _limits(request: PackageRequest, machine: str) -> tuple[str, ...]:
    sentences = []
    validated = request.manifest.provenance.tools.get("onnxruntime")
    if request.options.onnxruntime not in (None, validated):
        sentences.append(
            f"It has onnxruntime {request.options.onnxruntime}; the release was validated with {validated}."
        )
    if machine == "aarch64":
        sentences.append(
            "The release was validated on x86-64. Under the emulator qemu-user, onnxruntime 1.24.4 answers and 1.29 "
            "and later crash at import; `--onnxruntime 1.24.4` packages the older one."
        )
    return tuple(sentences)


def usage(request: PackageRequest, stem: str, machine: str, python: str, pins: tuple[str, ...]) -> str:
    """How to install the archive `stem`.tar.gz on a device, as Markdown; `pins` are requirements that it brings."""
    return f"""\
On the device, Linux on {machine} with Python {python} and glibc 2.28 or newer, without a network:

```sh
tar -xzf {shlex.quote(f"{stem}.tar.gz")} && cd {shlex.quote(stem)}
python{python} install.py
./environment/bin/python
```

```python
import distilforge
print(distilforge.open("release")({request.example_inputs}))
```

It brings {", ".join(f"`{pin}`" for pin in pins)} and all that they need."""


def _readme(stem: str, request: PackageRequest) -> str:
    return (
        f"# {stem}\n\nVariant `{request.variant.name}`: {request.reason}.\n\n"
        "`python3 install.py` makes a virtual environment in `environment/` of the wheels in `wheels/`, without a "
        "network, checks their digests, and answers the inputs in `examples.json` as a proof.\n"
    )
