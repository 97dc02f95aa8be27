"""The optimization profiles of an engine, and which one to use for a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from distilforge.errors import EngineError
from distilforge.kept_tokens import KEPT_TOKENS

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of every input, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile of an engine."""

    index: int
    """Its number in the engine."""
    lows: Shapes
    """The smallest shapes."""
    highs: Shapes
    """The largest shapes."""

    def holds(self, shapes: Shapes) -> bool:
        """Whether inputs of `shapes` can run in this profile."""
        return all(
            len(low) == len(shapes[name]) == len(self.highs[name])
            and all(
                least <= size <= most
                for least, size, most in zip(low, shapes[name], self.highs[name], strict=True)
            )
            for name, low in self.lows.items()
        )

    @property
    def elements(self) -> int:
        """The number of elements of the largest inputs together."""
        return sum(prod(high) for high in self.highs.values())

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {_sizes(low)} to {_sizes(self.highs[name])}"
            for name, low in self.lows.items()
            if name != KEPT_TOKENS
        )


def smallest(profiles: Sequence[Profile], shapes: Shapes) -> Profile:
    """The profile with the smallest inputs among those that hold `shapes`; EngineError where none does."""
    holding = [profile for profile in profiles if profile.holds(shapes)]
    if not holding:
        fed = ", ".join(f"{name} {_sizes(shape)}" for name, shape in shapes.items() if name != KEPT_TOKENS)
        raise EngineError(
            f"the engine does not take a batch of {fed}; its profiles are {'; '.join(map(str, profiles))}",
            hint="feed sizes inside one profile, or build the engine with profiles that have no gap between them",
        )
    return min(holding, key=lambda profile: profile.elements)


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
