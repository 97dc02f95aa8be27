"""Each class on its own: what a variant no longer finds of it, and what it newly takes for it.

A metric over all classes hardly moves when a rare class is lost. So two shares of every class have a limit:

- recall: the answers that eager PyTorch gets right and the variant does not, less those that only the variant gets
  right; of those that eager gets right. A variant that never finds the class any more has lost all of them.
- precision: the wrong answers of this class that only the variant gives, less those that only eager gives; of as many
  as eager gives, or as are right if that is more.

The answers of one text depend on each other, so the events are texts, weighted by their answers. Losses and gains have
limits that are exact for counts, and are combined as those of the whole metric are
(`validation.statistics.noninferiority`).

That every class with enough answers is within the limit is a single claim, which needs no correction for their number
(the intersection-union test: Berger 1982). That some class is beyond it is shown by Holm's procedure (1979), over all
classes and both shares.

Shape suffixes: U answers, L labels, N texts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from validation.statistics import normal
from validation.statistics.metrics import Array, Indices
from validation.statistics.noninferiority import EventSum, square_and_add

Bools = npt.NDArray[np.bool_]
Share = Literal["recall", "precision"]

FEWEST_LOST = 2
"""A single lost answer does not suggest that more examples would show the class to be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAnswers:
    """The answers of one model, each with the classes that are right."""

    labels: tuple[str, ...]
    """The names of the classes."""
    texts: Indices
    """The text of each answer, (U,)."""
    predicted: Bools
    """Which classes the model gives, (U, L)."""
    actual: Bools
    """Which classes are right, (U, L)."""

    @classmethod
    def of_one_label(
        cls, labels: tuple[str, ...], texts_U: Indices, predicted_U: Indices, actual_U: Indices
    ) -> "ClassAnswers":
        """Answers that are one class each."""
        identity_LL = np.eye(len(labels), dtype=np.bool_)
        return cls(
            labels=labels,
            texts=texts_U,
            predicted=identity_LL[predicted_U],
            actual=identity_LL[actual_U],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLoss:
    """How much worse a variant does on one class."""

    label: str
    """The name of the class."""
    share: Share
    """Which share it is."""
    of: int
    """How many answers the share is of; 0 where eager PyTorch finds none."""
    losses: Array
    """How many answers the variant makes worse in each text where it makes any worse."""
    gains: Array
    """How many it makes better in each text where it makes any better."""
    most_lost: int
    """How many answers could be made worse."""
    most_gained: int
    """How many could be made better."""

    @property
    def lost(self) -> int:
        """How many answers the variant makes worse."""
        return int(self.losses.sum())

    @property
    def gained(self) -> int:
        """How many answers it makes better."""
        return int(self.gains.sum())

    @property
    def value(self) -> float:
        """The net share of answers that are worse; 0 where there is nothing to lose."""
        return (self.lost - self.gained) / self.of if self.of else 0.0

    def interval(self, tail: float) -> tuple[float, float]:
        """Both ends of the net share, each with the tail probability `tail`."""
        if not self.of:
            return 0.0, 0.0
        lost, gained = EventSum.of(self.losses), EventSum.of(self.gains)
        low, high = square_and_add(
            lost.total,
            (lost.lower(tail), np.minimum(lost.upper(tail), self.most_lost)),
            gained.total,
            (gained.lower(tail), np.minimum(gained.upper(tail), self.most_gained)),
        )
        return float(low) / self.of, float(high) / self.of

    def is_rare(self, tail: float, limit: float) -> bool:
        """Whether not even a variant that answers as eager does could be shown to be within `limit`."""
        return -math.log(tail) > limit * self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassVerdicts:
    """What the losses of all classes show at one look."""

    tail: float
    """The error probability of each end of an interval."""
    enough: tuple[ClassLoss, ...]
    """Those of classes with enough answers to show a loss within the limit."""
    rare: tuple[ClassLoss, ...]
    """Those of the other classes."""
    beyond: tuple[ClassLoss, ...]
    """Those of both that are shown to be beyond the limit."""

    def is_beyond(self, loss: ClassLoss) -> bool:
        """Whether `loss` is shown to be beyond the limit."""
        return any(loss is one for one in self.beyond)

    def worst(self, losses: Sequence[ClassLoss]) -> ClassLoss:
        """The one of `losses` that is farthest beyond the limit, or comes nearest to it."""
        return max(losses, key=lambda loss: (self.is_beyond(loss), loss.interval(self.tail)[1]))


def class_losses(eager: ClassAnswers, variant: ClassAnswers) -> tuple[ClassLoss, ...]:
    """What `variant` loses against `eager`, by class and share.

    Classes of which the data have no answer have a recall of nothing, and no precision unless eager gives them.
    """
    right_UL, wrong_UL = eager.actual, ~eager.actual
    only_eager_UL = eager.predicted & ~variant.predicted
    only_variant_UL = variant.predicted & ~eager.predicted
    both: list[ClassLoss] = []
    for place, label in enumerate(eager.labels):
        right_U, wrong_U = right_UL[:, place], wrong_UL[:, place]
        given_U, only_eager_U = eager.predicted[:, place], only_eager_UL[:, place]
        only_variant_U = only_variant_UL[:, place]
        both.append(
            ClassLoss(
                label=label,
                share="recall",
                of=int((right_U & given_U).sum()),
                losses=_by_text(eager.texts, only_eager_U & right_U),
                gains=_by_text(eager.texts, only_variant_U & right_U),
                most_lost=int((right_U & given_U).sum()),
                most_gained=int((right_U & ~given_U).sum()),
            )
        )
        if right_U.any() or given_U.any():
            both.append(
                ClassLoss(
                    label=label,
                    share="precision",
                    of=int(max(given_U.sum(), right_U.sum())),
                    losses=_by_text(eager.texts, only_variant_U & wrong_U),
                    gains=_by_text(eager.texts, only_eager_U & wrong_U),
                    most_lost=int((wrong_U & ~given_U).sum()),
                    most_gained=int((wrong_U & given_U).sum()),
                )
            )
    return tuple(both)


def class_verdicts(losses: Sequence[ClassLoss], *, critical: float, limit: float) -> ClassVerdicts:
    """What `losses` show at a look with the critical value `critical`."""
    tail = normal.upper_tail(critical)
    return ClassVerdicts(
        tail=tail,
        enough=tuple(loss for loss in losses if not loss.is_rare(tail, limit)),
        rare=tuple(loss for loss in losses if loss.is_rare(tail, limit)),
        beyond=tuple(_beyond(losses, tail, limit)),
    )


def more_may_show_a_loss(losses: Sequence[ClassLoss], *, limit: float) -> bool:
    """Whether more answers could show that a class is lost: several of its answers are, and more than `limit`."""
    return any(loss.value > limit and loss.lost - loss.gained >= FEWEST_LOST for loss in losses)


def _beyond(losses: Sequence[ClassLoss], tail: float, limit: float) -> list[ClassLoss]:
    """The losses that are shown to be beyond `limit`, with the error probability `tail` for all of them together.

    Holm's procedure (1979): the clearest is held to `tail` divided by the number of losses, and each next one to
    `tail` divided by the number of those that are left.
    """
    beyond: list[ClassLoss] = []
    left = list(losses)
    while left:
        shown = [loss for loss in left if loss.interval(tail / len(left))[0] > limit]
        if not shown:
            break
        beyond += shown
        left = [loss for loss in left if not any(loss is one for one in shown)]
    return beyond


def _by_text(texts_U: Indices, counted_U: Bools) -> Array:
    """How many of the answers are counted in each text where any is, (N,)."""
    _, counts_N = np.unique(texts_U[counted_U], return_counts=True)
    return counts_N.astype(np.float64)
