"""Which optimization profile of an engine takes a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from distilforge.errors import EngineError

Shapes = Mapping[str, tuple[int, ...]]
"""Sizes of every input, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The smallest and the largest sizes of every input in the engine's profile number `index`."""

    index: int
    lows: Shapes
    highs: Shapes

    def holds(self, shapes: Shapes) -> bool:
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
        """How many the largest inputs have together."""
        return sum(prod(high) for high in self.highs.values())

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {_sizes(low)} to {_sizes(self.highs[name])}" for name, low in self.lows.items()
        )


def smallest(profiles: Sequence[Profile], shapes: Shapes) -> Profile:
    """Of those that hold `shapes` the one with the smallest inputs; EngineError where none does."""
    holding = [profile for profile in profiles if profile.holds(shapes)]
    if not holding:
        fed = ", ".join(f"{name} {_sizes(shape)}" for name, shape in shapes.items())
        raise EngineError(
            f"the engine takes no batch of {fed}; its profiles are {'; '.join(map(str, profiles))}",
            hint="feed sizes inside a profile, or build the engine with profiles that leave no gap",
        )
    return min(holding, key=lambda profile: profile.elements)


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
