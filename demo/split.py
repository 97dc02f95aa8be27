"""Cutting examples into training, development, evaluation and calibration sets that share no text."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SEED = "distilforge-demo-1"

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One JSON line, with what must not be shared between two splits.

    `group` names the source text: examples of one group stay in one split. `texts` are the passages of which
    none may occur in two splits. `training_only` keeps an example out of the held-out splits.
    """

    record: Record
    group: str
    texts: frozenset[str]
    training_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many examples each held-out split has, and how many of them one group may give."""

    evaluation: int
    calibration: int
    development: int
    per_group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Four sets of examples with no text in common."""

    train: tuple[Example, ...]
    development: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    calibration: tuple[Example, ...]


def digest(text: str) -> str:
    """A number for `text` that looks random and is the same everywhere."""
    return hashlib.sha256(f"{SEED}\0{text}".encode()).hexdigest()


def seed_of(text: str) -> int:
    """A seed for a random generator, drawn from `text`."""
    return int(digest(text)[:8], 16)


def normalized(text: str) -> str:
    """`text` without case and spacing: two texts that are equal so are the same text."""
    return "".join(text.lower().split())


def split(examples: Iterable[Example], sizes: Sizes) -> Splits:
    """Fill evaluation, calibration and development in that order; what shares no text with them trains.

    Groups are visited in the order of their digest, so that a split does not depend on the source's order and
    survives the addition of examples.
    """
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.group, []).append(example)
    queue = [groups[name] for name in sorted(groups, key=digest)]
    seen: set[str] = set()

    def held_out(size: int) -> tuple[Example, ...]:
        chosen: list[Example] = []
        texts: set[str] = set()
        rest: list[list[Example]] = []
        for members in queue:
            candidates = [] if len(chosen) >= size else _eligible(members, seen)
            picked = candidates[: min(sizes.per_group, size - len(chosen))]
            if picked:
                chosen += picked
                texts.update(text for member in members for text in member.texts)
            else:
                rest.append(members)
        queue[:] = rest
        seen.update(texts)
        return tuple(chosen)

    evaluation = held_out(sizes.evaluation)
    calibration = held_out(sizes.calibration)
    development = held_out(sizes.development)
    train = [example for members in queue for example in members if seen.isdisjoint(example.texts)]
    return Splits(train=tuple(train), development=development, evaluation=evaluation, calibration=calibration)


def _eligible(members: Sequence[Example], seen: set[str]) -> list[Example]:
    if any(not seen.isdisjoint(member.texts) for member in members):
        return []
    candidates = [member for member in members if not member.training_only]
    return sorted(candidates, key=lambda member: digest(repr(member.record)))
