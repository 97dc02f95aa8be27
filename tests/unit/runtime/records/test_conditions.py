"""The versions that a benchmark depends on are those of the engines that the release uses."""

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Manifest
from distilforge.records.conditions import present_conditions

from tests.runtime_release import published, read_manifest


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(published("sequence_classification").release)


def with_target(manifest: Manifest, target: str) -> Manifest:
    return replace(manifest, variants=(*manifest.variants, replace(manifest.variants[0], target=target)))


def installed(folder: Path, *packages: str) -> None:
    """Make `folder` hold what pip leaves of packages, each name-version."""
    for package in packages:
        (folder / f"{package}.dist-info").mkdir()


def test_versions_are_those_of_importlib_metadata(manifest: Manifest) -> None:
    versions = present_conditions(manifest, None).versions
    assert {"numpy", "onnxruntime"} <= set(versions)
    assert versions == {name: importlib.metadata.version(name) for name in versions}


def test_only_the_engines_of_the_release_count(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names of the real packages, which need not be installed here
    installed(
        tmp_path,
        "onnxruntime_ep_nv_tensorrt_rtx_cu13-0.5.0",
        "onnxruntime_gpu-1.24.0",
        "tensorrt_rtx-1.7.1",
        "openvino-2026.1.0",
        "matplotlib-3.9.0",
    )
    monkeypatch.syspath_prepend(tmp_path)
    for target, packages in {
        "onnxruntime-cpu": {"onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu13"},
        "tensorrt-rtx": {"onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "tensorrt-rtx"},
        "openvino": {"onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "openvino"},
    }.items():
        versions = present_conditions(with_target(manifest, target), None).versions
        added = {
            name
            for name in versions
            if (tmp_path / f"{name.replace('-', '_')}-{versions[name]}.dist-info").exists()
        }
        assert added == packages


def test_the_first_on_the_path_counts(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "onnxruntime-0.0.1")
    monkeypatch.syspath_prepend(tmp_path)
    assert present_conditions(manifest, None).versions["onnxruntime"] == "0.0.1"
