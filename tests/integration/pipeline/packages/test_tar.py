"""The archive for a machine without a network.

Downloads take too long here: `make packages-offline` installs an archive without a network, and answers.
"""

import hashlib
import shlex
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.packages import tar
from pipeline.packages.base import PackageOptions, PackageRequest
from pipeline.packages.wheels import download, runtime
from tests.integration.pipeline.packages.packaging import make, random_release
from tests.runtime_release import read_manifest


def test_the_bytes_of_an_archive_depend_on_names_and_contents_alone(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        root = tmp_path / name / "release-1"
        (root / "folder").mkdir(parents=True, mode=0o700 if name == "one" else 0o755)
        for file in ("b", "a", "folder/c"):
            (root / file).write_text(file)
        (root / "a").chmod(0o600 if name == "one" else 0o644)
        archive = tmp_path / f"{name}.tar.gz"
        tar.write_archive(root, archive)
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert names == ["release-1", "release-1/a", "release-1/b", "release-1/folder", "release-1/folder/c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PackageOptions(platform="x86-64"), "unknown platform 'x86-64'"),
        (PackageOptions(python="3.8"), "no wheels for Python '3.8'"),
        (
            PackageOptions(onnxruntime="1.20.0"),
            r"needs onnxruntime 1\.21\.1 or later, found --onnxruntime '1\.20\.0'",
        ),
    ],
)
def test_a_machine_that_the_runtime_does_not_know_is_refused(
    options: PackageOptions, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        make("tar", random_release("features"), tmp_path / "package", options=options)


def test_the_validated_versions_are_pinned() -> None:
    pins = download.pins({"onnxruntime": "1.30.0", "torch": "2.13.0"}, None)
    assert "onnxruntime==1.30.0" in pins
    assert not any(pin.startswith("torch==") for pin in pins)
    assert any(pin.startswith("numpy==") for pin in pins)
    assert "onnxruntime==1.24.4" in download.pins({"onnxruntime": "1.30.0"}, "1.24.4")


def test_the_runtime_is_a_wheel_without_a_build(tmp_path: Path) -> None:
    path = runtime.write(tmp_path)
    assert path.name == f"distilforge-{runtime.version()}-py3-none-any.whl"
    assert any(line.startswith("onnxruntime") for line in runtime.requirements())


def test_the_readme_quotes_an_archive_whose_name_has_spaces() -> None:
    release = random_release("features")
    manifest = read_manifest(release)
    (variant,) = manifest.variants
    request = PackageRequest(
        release=release, manifest=manifest, variant=variant, reason="", options=PackageOptions()
    )
    stem = "My Model (v2)-0123456789ab-linux-x86_64-py3.11"
    text = tar.usage(request, stem, "x86_64", "3.11", ())
    (command,) = (line for line in text.splitlines() if line.startswith("tar "))
    assert shlex.split(command) == ["tar", "-xzf", f"{stem}.tar.gz", "&&", "cd", stem]
