"""The result of a bisection: what each module costs a variant, and what to leave in floating point."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """What one module costs.

    Noise is the energy of the errors as a share of the energy of what varies over texts in the float values.
    """

    name: str
    """Hugging Face's name."""
    swallowed: tuple[str, ...]
    """Modules before it whose ends a pass hides; their errors are counted here."""
    own: float
    """Noise that it adds to its own output when it computes from float inputs."""
    own_decibels: float | None
    """`own` as a signal-to-noise ratio in dB; None where the output is exact."""
    alone: float
    """Noise in the model's outputs with only this module quantized."""
    flips_alone: int
    """Decisions that then differ from those in float."""
    restored: float | None = None
    """Noise in the model's outputs with all modules quantized except this one; None where it was not tried."""
    flips_restored: int | None = None
    """Decisions that then differ from those in float; None where it was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """The modules of a variant, the costliest first, and which to exclude from quantization."""

    release: str
    """Name and version."""
    variant: str
    """The variant that was bisected."""
    examples: int
    """Texts that were run."""
    tokens: int
    """Tokens of all texts."""
    decisions: int
    """Decisions that were compared."""
    noise: float
    """Noise of the whole variant against its graph in float."""
    flips: int
    """Decisions of the whole variant that differ from those in float."""
    metric_name: str | None
    """The head's metric; None where the data has no labels."""
    float_metric: float | None
    """The metric in float."""
    metric: float | None
    """The metric of the variant."""
    modules: tuple[Module, ...]
    """The modules that add noise of their own."""
    exclude: tuple[str, ...]
    """Modules to leave in floating point; empty where many modules share the noise."""
    excluded_noise: float
    """Noise with `exclude` in float."""
    excluded_flips: int
    """Decisions that differ with `exclude` in float."""
    not_compared: tuple[str, ...]
    """Modules at whose end the two graphs hold different values, such as moved scales.

    Their errors count to the next module.
    """

    @property
    def line(self) -> str:
        """`exclude` as a line for a recipe or a preset."""
        return f"exclude = {json.dumps(self.exclude)}"
