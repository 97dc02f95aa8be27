"""A variant's session settings reach ONNX Runtime; an unknown one is an error."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import distilforge
import onnxruntime
import pytest
from distilforge import ReleaseError, UnavailableError
from distilforge.machine import exact_int8
from distilforge.onnxruntime import settings

from tests.runtime_release import copied, read_manifest, write_manifest


def opened(tmp_path: Path, session: Mapping[str, str]) -> distilforge.Session:
    release = copied("sequence_classification", tmp_path / "release")
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, variants=(replace(manifest.variants[0], session=session),)))
    return distilforge.open(release)


def test_settings_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = onnxruntime.InferenceSession

    def record(
        path: Path,
        options: onnxruntime.SessionOptions,
        providers: list[str],
        disabled_optimizers: list[str],
    ) -> onnxruntime.InferenceSession:
        calls.append((options, disabled_optimizers))
        return real(path, options, providers=providers, disabled_optimizers=disabled_optimizers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    opened(
        tmp_path,
        {
            "disabled_optimizers": "SkipLayerNormFusion, BiasGeluFusion",
            "graph_optimization_level": "extended",
            "session.intra_op.allow_spinning": "0",
        },
    )
    ((options, disabled),) = calls
    assert disabled == ["SkipLayerNormFusion", "BiasGeluFusion"]
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"disabled_optimisers": "X"},
            r"setting 'disabled_optimisers'.*\n.*did you mean 'disabled_optimizers'",
        ),
        (
            {"session.collect_node_memory_stats_to_file": "/home/a/.bashrc"},
            r"setting 'session.collect_node_memory_stats_to_file', which this distilforge does not allow",
        ),
        ({"session.node_partition_config_file": "x"}, r"setting 'session.node_partition_config_file'"),
        ({"session." + "a" * 2000: "b"}, r"setting 'session.aaa"),
        ({"provider.trt_ep_context_file_path": "/tmp/x"}, r"setting 'provider.trt_ep_context_file_path'"),
        # It would replay the addresses of the first batch
        ({"provider.trt_cuda_graph_enable": "1"}, r"setting 'provider.trt_cuda_graph_enable'"),
        ({"provider.use_tf32": "2"}, r"provider.use_tf32 '2'; it must be a whole number from 0 to 1"),
        ({"session.dynamic_block_base": "1" * 5000}, r"dynamic_block_base '1+.*from 0 to 1024"),
        ({"session.intra_op.allow_spinning": "²"}, r"allow_spinning '²'; it must be a whole number"),
        ({"provider.trt_fp16_enable": "yes"}, r"'yes'; it must be one of 0, 1, False, True"),
        ({"disabled_optimizers": "A,../x"}, r"disabled_optimizers with '../x'"),
        ({"disabled_optimizers": "A," * 300}, r"disables 300 optimizers; at most 256"),
        ({"graph_optimization_level": "ful"}, r"graph_optimization_level 'ful'\n.*'disable', 'basic'"),
    ],
)
def test_unknown_settings(tmp_path: Path, settings: Mapping[str, str], message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        opened(tmp_path, settings)


def test_exact_products_are_not_asked_of_versions_that_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "exact_int8_precise", lambda: "sums are cut off")
    with pytest.raises(
        UnavailableError, match=r"session\.x64quantprecision cannot be set here: sums are cut off"
    ):
        opened(tmp_path, dict(exact_int8.PRECISE))
    opened(tmp_path / "usual", {})
