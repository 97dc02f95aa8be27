"""An engine's settings, and those that are refused."""

from collections.abc import Mapping

import pytest
from distilforge import ReleaseError
from distilforge.manifest import Variant
from distilforge.tensorrt.settings import EngineSettings


def settings(session: Mapping[str, str]) -> EngineSettings:
    return EngineSettings.of(
        Variant(target="tensorrt", precision="fp16", files=("tensorrt/trt-fp16.engine",), session=session)
    )


def test_defaults() -> None:
    assert settings({}) == EngineSettings()


def test_all() -> None:
    session = {"contexts": "4", "cuda_graphs": "8", "runtime_cache": "off", "kernels": "eager"}
    assert settings(session) == EngineSettings(
        contexts=4, cuda_graphs=8, runtime_cache=False, kernels="EAGER"
    )


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (
            {"context": "4"},
            "setting 'context', which this distilforge does not allow.*(?s:.)*did you mean 'contexts'",
        ),
        ({"contexts": "0"}, "contexts '0'; it must be a whole number of at least 1"),
        ({"contexts": "two"}, "contexts 'two'"),
        ({"cuda_graphs": "-1"}, "cuda_graphs '-1'; it must be a whole number of at least 0"),
        ({"runtime_cache": "/etc/passwd"}, "runtime_cache '/etc/passwd'(?s:.)*there are 'on', 'off'"),
        ({"kernels": "EAGER"}, "kernels 'EAGER'"),
    ],
)
def test_refused(session: Mapping[str, str], message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        settings(session)
