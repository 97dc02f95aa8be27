"""The conditions of a report: what this machine and its versions are, in words."""

import importlib.metadata
import os
import platform

from validation.latency.conditions import conditions, physical_cores


def test_threads_cores_and_versions_are_named() -> None:
    named = conditions(3)
    assert named["threads"].startswith("3 for eager PyTorch")
    assert named["cores"].startswith(f"{physical_cores()} ")
    assert named["python"] == platform.python_version()
    assert named["torch"] == importlib.metadata.version("torch")
    assert all(named.values())


def test_a_package_that_is_not_installed_is_left_out() -> None:
    try:
        version = importlib.metadata.version("onnxruntime-gpu")
    except importlib.metadata.PackageNotFoundError:
        assert "onnxruntime-gpu" not in conditions(1)
    else:
        assert conditions(1)["onnxruntime-gpu"] == version


def test_there_are_no_more_cores_than_hardware_threads() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)
