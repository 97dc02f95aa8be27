"""A variant's session settings reach ONNX Runtime; an unknown one is an error."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import distilforge
import onnxruntime
import pytest
from distilforge import ReleaseError

from tests.runtime_release import copied, read_manifest, write_manifest


def opened(tmp_path: Path, session: Mapping[str, str]) -> distilforge.Session:
    release = copied("sequence_classification", tmp_path / "release")
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, variants=(replace(manifest.variants[0], session=session),)))
    return distilforge.open(release)


def test_settings_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = onnxruntime.InferenceSession

    def record(
        path: Path,
        options: onnxruntime.SessionOptions,
        providers: list[str],
        disabled_optimizers: list[str],
    ) -> onnxruntime.InferenceSession:
        seen.append((options, disabled_optimizers))
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
    ((options, disabled),) = seen
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
        ({"graph_optimization_level": "ful"}, r"graph_optimization_level 'ful'\n.*'disable', 'basic'"),
    ],
)
def test_unknown_settings(tmp_path: Path, settings: Mapping[str, str], message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        opened(tmp_path, settings)
