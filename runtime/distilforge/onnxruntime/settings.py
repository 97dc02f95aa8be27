"""The settings of ONNX Runtime in a variant's `session`, with which the variant was validated and measured."""

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
    """How a session of ONNX Runtime is set up."""

    disabled_optimizers: tuple[str, ...] = ()
    """The graph optimizers that do not run, by ONNX Runtime's names."""
    level: str | None = None
    """ONNX Runtime's name of the optimization level; None for its default."""
    entries: Mapping[str, str] = field(default_factory=dict)
    """Session configuration entries."""
    provider_options: Mapping[str, str] = field(default_factory=dict)
    """Options of the variant's provider."""
    cpu_fallback: bool = False
    """Whether nodes that a device's provider does not support may run on the CPU."""

    @classmethod
    def of(cls, variant: Variant) -> "Settings":
        """The settings in `variant.session`; ReleaseError for one that this distilforge does not know.

        "disabled_optimizers" is a list separated by commas, "graph_optimization_level" is one of LEVELS, and
        "allow_cpu_fallback" is 0 or 1. Names that begin with "session." are entries of ONNX Runtime's session
        configuration (onnxruntime_session_options_config_keys.h), and names that begin with "provider." are options of
        the variant's provider.
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
        """Apply the settings to `options`, and return the other arguments for InferenceSession."""
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
