"""OpenVINO's settings: the same on every machine, and only those that are allowed."""

from collections.abc import Mapping

import pytest
from distilforge import ReleaseError
from distilforge.backends import backends
from distilforge.manifest import Variant
from distilforge.openvino.settings import ALLOWED, settings


def variant(session: Mapping[str, str]) -> Variant:
    return Variant(target="openvino", precision="int8", files=("openvino/a.onnx",), session=session)


def test_every_property_has_a_value_of_its_own() -> None:
    """OpenVINO's defaults depend on the processor: bf16 where it has AMX."""
    assert settings(variant({})).keys() == ALLOWED.keys()
    assert settings(variant({}))["INFERENCE_PRECISION_HINT"] == "f32"
    assert settings(variant({"INFERENCE_PRECISION_HINT": "bf16"})) == {
        **settings(variant({})),
        "INFERENCE_PRECISION_HINT": "bf16",
    }


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ({"CACHE_DIR": "/tmp/x"}, "'CACHE_DIR', which this distilforge does not allow"),
        ({"WEIGHTS_PATH": "/etc/passwd"}, "'WEIGHTS_PATH', which this distilforge does not allow"),
        ({"INFERENCE_PRECISION": "f32"}, "did you mean 'INFERENCE_PRECISION_HINT'"),
        ({"INFERENCE_PRECISION_HINT": "f16"}, "'f16'; it must be one of f32, bf16"),
        ({"DYNAMIC_QUANTIZATION_GROUP_SIZE": "5000"}, "'5000'; it must be a whole number from 0 to 4096"),
        ({"a" * 2000: "b"}, "setting 'aaa"),
        ({"session.intra_op.allow_spinning": "0"}, "'session.intra_op.allow_spinning', which .* not allow"),
    ],
)
@pytest.mark.parametrize("target", ["openvino", "onnxruntime-openvino"])
def test_others_are_refused(session: Mapping[str, str], message: str, target: str) -> None:
    backend = backends.get(target)
    assert backend is not None
    with pytest.raises(ReleaseError, match=message):
        backend.check_settings(variant(session))
