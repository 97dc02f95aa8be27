"""The package of an engine, which is only put together here: a device runs it."""

import json
from pathlib import Path

import pytest
from distilforge.release import verify

from pipeline.errors import UsageError
from tests.device_release import device_variant, with_variants
from tests.integration.pipeline.packages.packaging import make
from tests.runtime_release import copied


def test_it_holds_the_engine_its_capabilities_and_its_wheel(tmp_path: Path) -> None:
    release = with_variants(
        copied("sequence_classification", tmp_path / "release"), device_variant("tensorrt-rtx")
    )
    package = make("rtx", release, tmp_path / "package")
    manifest = verify(package.folder / "engine")
    assert [variant.name for variant in manifest.variants] == ["tensorrt-rtx:fp16"]
    assert not (package.folder / "engine" / "onnx").exists()
    requirements = (package.folder / "requirements.txt").read_text().splitlines()
    assert "tensorrt-rtx==1.7.1.116" in requirements
    assert json.loads((package.folder / "capabilities.json").read_text())["capabilities"] == [
        "8.0",
        "8.6",
        "8.9",
        "12.0+",
    ]


def test_a_release_without_an_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"onnxruntime-cpu:fp32.*tensorrt-rtx:\*"):
        make("rtx", copied("features", tmp_path / "release"), tmp_path / "package")
