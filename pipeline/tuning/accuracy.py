"""The accuracy gate as a constraint: a coarse look at some texts, then validation's own checks on all."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distilforge.manifest import Verdict
from scipy import stats

from pipeline.release.gate import sentence
from pipeline.tuning.workshop import Opened
from validation import invariance, notes, verdicts
from validation.accuracy import Evaluation
from validation.batches import Bools, Feeds
from validation.eager import Eager
from validation.gate import Gates
from validation.judge import Found, judge_answers
from validation.sequential import single_look
from validation.tasks.base import Floats, Served
from validation.validate import DEMO, EVALUATED, GENERATED, compare_generated, encode, floats, tallies

# Enough to see a plan that breaks the model; what loses a percentage point shows on all texts only.
QUICK = 200
# Eager's answers that are held; over a vocabulary they are large, and the rest is computed again.
MOST_BYTES = 1 << 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Verdicts on `examples` texts; `failures` are sentences on what was not met, empty where all was."""

    verdicts: tuple[Verdict, ...]
    examples: int
    failures: tuple[str, ...]


class Remembered:
    """Eager PyTorch, which answers what it was asked before from memory."""

    def __init__(self, eager: Eager) -> None:
        self.eager = eager
        self._answers: dict[str, Mapping[str, Floats]] = {}
        self._room = MOST_BYTES

    def run(self, feeds: Feeds, kept: Bools | None = None) -> Mapping[str, Floats]:
        """As Eager.run."""
        digest = hashlib.sha256()
        for array in (*feeds.values(), *(() if kept is None else (kept,))):
            digest.update(repr(array.shape).encode())
            digest.update(array.tobytes())
        name = digest.hexdigest()
        if name in self._answers:
            return self._answers[name]
        answered = self.eager.run(feeds, kept)
        # What was not asked for is memory that was never touched
        size = sum(array.nbytes if kept is None else array[kept].nbytes for array in answered.values())
        if size <= self._room:
            self._room -= size
            self._answers[name] = answered
        return answered


class Gatekeeper:
    """Holds opened plans against eager PyTorch on `checkpoint`, with the gates of a build."""

    def __init__(self, checkpoint: Path, served: Served, evaluation: Path | None, gates: Gates) -> None:
        self._eager = Remembered(Eager(checkpoint, served.manifest.head))
        self._gates, self._served = gates, served
        self._inputs = DEMO if evaluation is None else EVALUATED
        self._evaluated = encode(evaluation, served)
        self._quick: Evaluation | None = None
        self._sampled: Evaluation | None = None
        if self._evaluated is not None:
            examples = self._evaluated.examples
            spread = examples[:: -(-len(examples) // QUICK)]
            self._quick = Evaluation.of(self._evaluated.task, spread, served)
            self._sampled = invariance.sample(self._evaluated)
        self.notes = notes.notes(evaluation, self._evaluated, gates)
        self.judged = (
            f"judged on {len(self._evaluated.examples) if self._evaluated else 0} examples "
            f"({notes.describe(evaluation, self._evaluated)})"
        )

    def coarse(self, opened: Opened) -> Judged:
        """Whether the plan can still meet the gates, by a part of the texts; only what surely fails is a failure."""
        return self._judged(opened, self._quick, whole=False)

    def whole(self, opened: Opened) -> Judged:
        """All that validation checks of a variant's answers, on all texts and on generated inputs."""
        return self._judged(opened, self._evaluated, whole=True)

    def _judged(self, opened: Opened, evaluated: Evaluation | None, *, whole: bool) -> Judged:
        name, run = opened.variant.name, floats(opened.session)
        on_texts = tallies(self._eager.eager, self._inputs)
        on_generated = tallies(self._eager.eager, GENERATED)
        compared = None
        if evaluated is not None:
            compared = evaluated.compare(
                self._eager.run,
                {name: run},
                {name: on_texts},
                looks=(single_look(len(evaluated.examples), self._gates.confidence),),
                workers=1,
                progress=lambda done, of: None,
            )[name]
        if whole or evaluated is None:
            compare_generated(self._eager.run, {name: run}, self._served, {name: on_generated})
        stability = invariance.measure(self._sampled, run, workers=1) if whole and self._sampled else ()
        found = Found(
            variant=opened.variant,
            tallies=[*on_generated, *on_texts],
            compared=compared,
            stability=stability,
        )
        judged = (*opened.variant.verdicts, *judge_answers(found, self._gates))
        decisions = compared.decisions if compared else 0
        return Judged(
            verdicts=judged,
            examples=len(evaluated.examples) if evaluated else 0,
            failures=tuple(
                sentence(verdict)
                for verdict in judged
                if not verdict and (whole or hopeless(verdict, decisions, self._gates.confidence))
            ),
        )


def hopeless(verdict: Verdict, decisions: int, confidence: float) -> bool:
    """Whether more texts could not turn a failed `verdict`, of a part of them, into one that is met.

    The favourable end of the interval decides: of the loss its own, of the labels' agreement that of Clopper and
    Pearson 1934. Everything else is out of its limit already.
    """
    if verdict.interval is not None:
        return verdict.interval[0] > verdict.limit
    if verdict.kind == verdicts.AGREEMENT:
        agreed = round(verdict.observed * decisions)
        interval = stats.binomtest(agreed, decisions).proportion_ci(2 * confidence - 1)
        return float(interval.high) < verdict.limit
    return True
