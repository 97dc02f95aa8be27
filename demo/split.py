"""Split examples into training, development, evaluation and calibration sets that do not share any text."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SEED = "distilforge-demo-1"

Record = Mapping[str, object]
"""The content of a JSON line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An example, with everything that two splits must not share."""

    record: Record
    """The example itself."""
    group: str
    """The source text: all examples of a group are in one split."""
    texts: frozenset[str]
    """The passages that must not occur in another split."""
    training_only: bool = False
    """Whether the example must not be in a held-out split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The most examples of each held-out split."""

    evaluation: int
    """Examples of the evaluation set."""
    calibration: int
    """Examples of the calibration set."""
    development: int
    """Examples of the development set."""
    per_group: int
    """Examples of one group in a held-out set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Four sets of examples without a common text."""

    train: tuple[Example, ...]
    """For training."""
    development: tuple[Example, ...]
    """To decide when a training ends."""
    evaluation: tuple[Example, ...]
    """To measure the trained model and its artifacts."""
    calibration: tuple[Example, ...]
    """To choose the scales of a quantized model."""


def digest(text: str) -> str:
    """Hexadecimal SHA-256 of `text` and SEED: it looks random, and is the same on every machine."""
    return hashlib.sha256(f"{SEED}\0{text}".encode()).hexdigest()


def seed_of(text: str) -> int:
    """The seed of a random generator for `text`."""
    return int(digest(text)[:8], 16)


def normalized(text: str) -> str:
    """`text` in lower case and without spaces; texts that differ only in these count as the same text."""
    return "".join(text.lower().split())


def split(examples: Iterable[Example], sizes: Sizes) -> Splits:
    """Fill the evaluation, calibration and development sets in this order; the others train if they share no text.

    Groups are visited in the order of their digests, so a split does not depend on the order of the source, and
    changes little when examples are added.
    """
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.group, []).append(example)
    queue = [groups[name] for name in sorted(groups, key=digest)]
    held_out_texts: set[str] = set()

    def held_out(size: int) -> tuple[Example, ...]:
        chosen: list[Example] = []
        texts: set[str] = set()
        rest: list[list[Example]] = []
        for members in queue:
            candidates = [] if len(chosen) >= size else _eligible(members, held_out_texts)
            selection = candidates[: min(sizes.per_group, size - len(chosen))]
            if selection:
                chosen += selection
                texts.update(text for member in members for text in member.texts)
            else:
                rest.append(members)
        queue[:] = rest
        held_out_texts.update(texts)
        return tuple(chosen)

    evaluation = held_out(sizes.evaluation)
    calibration = held_out(sizes.calibration)
    development = held_out(sizes.development)
    train = [example for members in queue for example in members if held_out_texts.isdisjoint(example.texts)]
    return Splits(train=tuple(train), development=development, evaluation=evaluation, calibration=calibration)


def _eligible(members: Sequence[Example], held_out_texts: set[str]) -> list[Example]:
    """The examples of a group that may be held out, in a random order; none if the group shares a text."""
    if any(not held_out_texts.isdisjoint(member.texts) for member in members):
        return []
    candidates = [member for member in members if not member.training_only]
    return sorted(candidates, key=lambda member: digest(repr(member.record)))
