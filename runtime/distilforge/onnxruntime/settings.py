"""The settings of ONNX Runtime in a variant's `session`, with which the variant was validated and measured."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distilforge.checks.setting_values import Values, described, fits
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.machine.exact_int8 import PRECISE
from distilforge.machine.exact_int8_precise import exact_int8_precise
from distilforge.manifest import Variant
from distilforge.onnxruntime import allowed
from distilforge.registry import nearest

if TYPE_CHECKING:
    import onnxruntime

DISABLED_OPTIMIZERS, OPTIMIZATION_LEVEL, CPU_FALLBACK = (
    "disabled_optimizers",
    "graph_optimization_level",
    "allow_cpu_fallback",
)
_PROVIDER = "provider."
_NAMES = (DISABLED_OPTIMIZERS, OPTIMIZATION_LEVEL, CPU_FALLBACK)
NAMES = (*_NAMES, *allowed.SESSION_ENTRIES, *(f"{_PROVIDER}{name}" for name in allowed.PROVIDER_OPTIONS))
"""Every setting that a release may name."""
LEVELS: Mapping[str, str] = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
_OPTIMIZER = re.compile(r"[A-Za-z0-9_]{1,100}")
_MOST_OPTIMIZERS = 256


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
        """The settings in `variant.session`; ReleaseError for one that is not allowed, or for a value that is not.

        "disabled_optimizers" is a list separated by commas, "graph_optimization_level" is one of LEVELS, and
        "allow_cpu_fallback" is 0 or 1. Names that begin with "session." are entries of ONNX Runtime's session
        configuration, and names that begin with "provider." are options of the variant's provider.
        distilforge.onnxruntime.allowed has those that a release may name.
        """
        entries: dict[str, str] = {}
        provider_options: dict[str, str] = {}
        for name, value in variant.session.items():
            if name in allowed.SESSION_ENTRIES:
                _check_value(variant, name, allowed.SESSION_ENTRIES[name])
                entries[name] = value
            elif (option := _provider_option(name)) is not None:
                _check_value(variant, name, allowed.PROVIDER_OPTIONS[option])
                provider_options[option] = value
            elif name not in _NAMES:
                raise ReleaseError(
                    f"the variant {variant.name!r:.200} has the session setting {name!r:.100}, "
                    "which this distilforge does not allow",
                    hint="leave it out, or pip install --upgrade distilforge; " + nearest(name[:100], NAMES),
                )
        return cls(
            disabled_optimizers=_optimizers(variant),
            level=_level(variant),
            entries=entries,
            provider_options=provider_options,
            cpu_fallback=_fallback(variant),
        )

    def apply(self, options: "onnxruntime.SessionOptions") -> dict[str, list[str]]:
        """Apply the settings to `options`, and return the other arguments for InferenceSession.

        Raises UnavailableError for exact 8-bit products where the installed onnxruntime would abort the process.
        """
        import onnxruntime

        if self.entries.items() >= PRECISE.items() and (reason := exact_int8_precise()) is not None:
            raise UnavailableError(
                f"{', '.join(PRECISE)} cannot be set here: {reason}", hint="open another variant"
            )
        if self.level is not None:
            options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, self.level)
        for name, value in self.entries.items():
            options.add_session_config_entry(name, value)
        return {"disabled_optimizers": list(self.disabled_optimizers)} if self.disabled_optimizers else {}


def _provider_option(name: str) -> str | None:
    """The option of a provider that the setting `name` gives; None for other settings."""
    option = name.removeprefix(_PROVIDER)
    return option if name.startswith(_PROVIDER) and option in allowed.PROVIDER_OPTIONS else None


def _check_value(variant: Variant, name: str, values: Values) -> None:
    value = variant.session[name]
    if not fits(value, values):
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has {name} {value!r:.80}; it must be {described(values)}",
            hint="publish the release again with an allowed value",
        )


def _optimizers(variant: Variant) -> tuple[str, ...]:
    names = [name.strip() for name in variant.session.get(DISABLED_OPTIMIZERS, "").split(",")]
    optimizers = tuple(name for name in names if name)
    if len(optimizers) > _MOST_OPTIMIZERS:
        raise ReleaseError(
            f"the variant {variant.name!r:.200} disables {len(optimizers)} optimizers; "
            f"at most {_MOST_OPTIMIZERS} are allowed",
            hint="set graph_optimization_level instead",
        )
    for name in optimizers:
        if not _OPTIMIZER.fullmatch(name):
            raise ReleaseError(
                f"the variant {variant.name!r:.200} has {DISABLED_OPTIMIZERS} with {name!r:.80}; a name consists of "
                "letters, digits and underscores",
                hint="ONNX Runtime's own names look like BiasGeluFusion",
            )
    return optimizers


def _level(variant: Variant) -> str | None:
    name = variant.session.get(OPTIMIZATION_LEVEL)
    if name is None:
        return None
    if name not in LEVELS:
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has {OPTIMIZATION_LEVEL} {name!r:.80}",
            hint=nearest(name[:80], tuple(LEVELS)),
        )
    return LEVELS[name]


def _fallback(variant: Variant) -> bool:
    value = variant.session.get(CPU_FALLBACK, "0")
    if value not in ("0", "1"):
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has {CPU_FALLBACK} {value!r:.80}",
            hint=nearest(value[:80], ("0", "1")),
        )
    return value == "1"
