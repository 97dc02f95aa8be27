"""The settings of OpenVINO in a variant's `session`, with which the variant was validated and measured.

They are properties of OpenVINO's CPU device, by OpenVINO's own names
(https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html).
"""

from collections.abc import Mapping
from typing import Final

from distilforge.checks.setting_values import Values, described, fits
from distilforge.errors import ReleaseError
from distilforge.manifest import Variant
from distilforge.registry import nearest

PRECISION: Final = "INFERENCE_PRECISION_HINT"
_SWITCH: Final = ("NO", "YES")

ALLOWED: Mapping[str, Values] = {
    PRECISION: ("f32", "bf16"),
    "EXECUTION_MODE_HINT": ("ACCURACY", "PERFORMANCE"),
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": range(4097),
    "KV_CACHE_PRECISION": ("f32", "bf16", "u8"),
    "CPU_DENORMALS_OPTIMIZATION": _SWITCH,
    "ENABLE_HYPER_THREADING": _SWITCH,
}
"""The settings that a release may name, and their values.

Only settings that change how a graph is computed are here. OpenVINO has others, which write or read files by name, and
a release that comes from somebody else must not do that.
"""

# OpenVINO's own defaults depend on the processor: bf16 where it has AMX, and 8-bit weights on dynamic scales
_DEFAULTS: Mapping[str, str] = {
    PRECISION: "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "KV_CACHE_PRECISION": "f32",
    "CPU_DENORMALS_OPTIMIZATION": "NO",
    "ENABLE_HYPER_THREADING": "YES",
}


def settings(variant: Variant) -> dict[str, str]:
    """Every property in ALLOWED with the value of `variant.session`, or else with a default that is always the same.

    Raises ReleaseError for a setting that is not allowed, or for a value that is not.
    """
    for name, value in variant.session.items():
        if name not in ALLOWED:
            raise ReleaseError(
                f"the variant {variant.name!r:.200} has the session setting {name!r:.100}, "
                "which this distilforge does not allow",
                hint="leave it out, or pip install --upgrade distilforge; "
                + nearest(name[:100], tuple(ALLOWED)),
            )
        if not fits(value, ALLOWED[name]):
            raise ReleaseError(
                f"the variant {variant.name!r:.200} has {name} {value!r:.80}; it must be {described(ALLOWED[name])}",
                hint="publish the release again with an allowed value",
            )
    return {**_DEFAULTS, **variant.session}
