"""ONNX Runtime's settings in a variant's `session`, which it was measured and validated with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distilforge.errors import ReleaseError
from distilforge.manifest import Variant
from distilforge.registry import nearest

if TYPE_CHECKING:
    import onnxruntime

DISABLED_OPTIMIZERS, OPTIMIZATION_LEVEL, CPU_FALLBACK = (
    "disabled_optimizers",
    "graph_optimization_level",
    "allow_cpu_fallback",
)
ENTRIES, PROVIDER_OPTIONS = "session.", "provider."
_NAMES = (DISABLED_OPTIMIZERS, OPTIMIZATION_LEVEL, CPU_FALLBACK)
LEVELS: Mapping[str, str] = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names of ONNX Runtime's graph optimizers to leave out, its name of an optimization level, config entries.

    provider_options: of the first provider, by ONNX Runtime's names. cpu_fallback: nodes that a device's provider
    does not take may run on the CPU.
    """

    disabled_optimizers: tuple[str, ...] = ()
    level: str | None = None
    entries: Mapping[str, str] = field(default_factory=dict)
    provider_options: Mapping[str, str] = field(default_factory=dict)
    cpu_fallback: bool = False

    @classmethod
    def of(cls, variant: Variant) -> "Settings":
        """The settings in `variant.session`; ReleaseError for one that this distilforge does not know.

        "disabled_optimizers" is a list with commas, "graph_optimization_level" one of LEVELS, "allow_cpu_fallback" 0
        or 1; what begins with "session." goes to ONNX Runtime as it is
        (onnxruntime_session_options_config_keys.h), and what begins with "provider." to the variant's provider.
        """
        entries: dict[str, str] = {}
        provider_options: dict[str, str] = {}
        for name, value in variant.session.items():
            if name.startswith(ENTRIES):
                entries[name] = value
            elif name.startswith(PROVIDER_OPTIONS):
                provider_options[name.removeprefix(PROVIDER_OPTIONS)] = value
            elif name not in _NAMES:
                raise ReleaseError(
                    f"the variant {variant.name!r} has the session setting {name!r}, "
                    "which this distilforge does not know",
                    hint="pip install --upgrade distilforge; "
                    + nearest(name, (*_NAMES, f"{ENTRIES}*", f"{PROVIDER_OPTIONS}*")),
                )
        optimizers = variant.session.get(DISABLED_OPTIMIZERS, "").split(",")
        return cls(
            disabled_optimizers=tuple(name.strip() for name in optimizers if name.strip()),
            level=_level(variant),
            entries=entries,
            provider_options=provider_options,
            cpu_fallback=_fallback(variant),
        )

    def apply(self, options: "onnxruntime.SessionOptions") -> dict[str, list[str]]:
        """Set `options` up, and return what InferenceSession wants besides them."""
        import onnxruntime

        if self.level is not None:
            options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, self.level)
        for name, value in self.entries.items():
            options.add_session_config_entry(name, value)
        return {"disabled_optimizers": list(self.disabled_optimizers)} if self.disabled_optimizers else {}


def _level(variant: Variant) -> str | None:
    name = variant.session.get(OPTIMIZATION_LEVEL)
    if name is None:
        return None
    if name not in LEVELS:
        raise ReleaseError(
            f"the variant {variant.name!r} has {OPTIMIZATION_LEVEL} {name!r}",
            hint=nearest(name, tuple(LEVELS)),
        )
    return LEVELS[name]


def _fallback(variant: Variant) -> bool:
    value = variant.session.get(CPU_FALLBACK, "0")
    if value not in ("0", "1"):
        raise ReleaseError(
            f"the variant {variant.name!r} has {CPU_FALLBACK} {value!r}", hint=nearest(value, ("0", "1"))
        )
    return value == "1"
