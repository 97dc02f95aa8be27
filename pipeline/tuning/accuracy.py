"""The accuracy gate of a search: a quick check on some of the texts, then validation's own checks on all of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distilforge.manifest import Verdict
from scipy import stats

from pipeline.release.gate import sentence
from pipeline.tuning.builder import PlanSession
from validation.answers import invariance
from validation.answers.accuracy import Evaluation
from validation.answers.batches import Bools, Feeds
from validation.answers.eager import Eager
from validation.gates import Gates
from validation.judgement import notes, verdicts
from validation.judgement.judge import Observations, judge_answers
from validation.statistics.sequential import single_look
from validation.tasks.base import Floats, ReleaseReader
from validation.validate import (
    DEMO,
    EVALUATED,
    GENERATED,
    LONG,
    compare_generated,
    compare_long,
    empty_tallies,
    encode_evaluation,
    float32_run,
)

# Enough texts to reject a plan that breaks the model. A loss of a percentage point only shows on all texts.
QUICK_TEXTS = 200
# Limit on the answers of eager PyTorch that are kept. Answers over a vocabulary are large; the rest is computed again.
CACHE_BYTES = 1 << 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdicts on a plan's answers."""

    verdicts: tuple[Verdict, ...]
    """Every check, met or not."""
    examples: int
    """The number of texts that were compared."""
    failures: tuple[str, ...]
    """One sentence for each check that failed; empty if the plan passed."""


class CachedEager:
    """Eager PyTorch that remembers its answers, since every plan is compared with the same ones."""

    def __init__(self, eager: Eager) -> None:
        self.eager = eager
        self._answers: dict[str, Mapping[str, Floats]] = {}
        self._free_bytes = CACHE_BYTES

    def run(self, feeds: Feeds, kept: Bools | None = None) -> Mapping[str, Floats]:
        """The same answers as Eager.run."""
        digest = hashlib.sha256()
        for array in (*feeds.values(), *(() if kept is None else (kept,))):
            digest.update(repr(array.shape).encode())
            digest.update(array.tobytes())
        name = digest.hexdigest()
        if name in self._answers:
            return self._answers[name]
        answers = self.eager.run(feeds, kept)
        # Positions that were not asked for are never written, so they take no memory
        size = sum(array.nbytes if kept is None else array[kept].nbytes for array in answers.values())
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._answers[name] = answers
        return answers


class AccuracyGate:
    """Compares plans with eager PyTorch on `checkpoint`, under the gates of a build."""

    def __init__(
        self, checkpoint: Path, reader: ReleaseReader, evaluation: Path | None, gates: Gates
    ) -> None:
        self._eager = CachedEager(Eager(checkpoint, reader.manifest.head))
        self._gates, self._reader = gates, reader
        self._inputs = DEMO if evaluation is None else EVALUATED
        self._all_texts = encode_evaluation(evaluation, reader)
        self._some_texts: Evaluation | None = None
        self._invariance_sample: Evaluation | None = None
        if self._all_texts is not None:
            examples = self._all_texts.examples
            spread = examples[:: -(-len(examples) // QUICK_TEXTS)]
            self._some_texts = Evaluation.of(self._all_texts.task, spread, reader)
            self._invariance_sample = invariance.sample(self._all_texts)
        self.notes = notes.notes(evaluation, self._all_texts, gates)
        self.description = (
            f"judged on {len(self._all_texts.examples) if self._all_texts else 0} examples "
            f"({notes.describe(evaluation, self._all_texts)})"
        )

    def check_some_texts(self, session: PlanSession) -> Judgement:
        """A check on some of the texts. A check only counts as failed if more texts could not change its verdict."""
        return self._judge(session, self._some_texts, complete=False)

    def check_all_texts(self, session: PlanSession) -> Judgement:
        """Every check that validation makes of a variant's answers, on all texts and on generated inputs."""
        return self._judge(session, self._all_texts, complete=True)

    def _judge(self, session: PlanSession, texts: Evaluation | None, *, complete: bool) -> Judgement:
        name, run = session.variant.name, float32_run(session.session)
        on_texts = empty_tallies(self._eager.eager, self._inputs)
        on_generated = empty_tallies(self._eager.eager, GENERATED)
        on_long = empty_tallies(self._eager.eager, LONG)
        compared = None
        if texts is not None:
            compared = texts.compare(
                self._eager.run,
                {name: run},
                {name: on_texts},
                looks=(single_look(len(texts.examples), self._gates.confidence),),
                workers=1,
                progress=lambda done, of: None,
            )[name]
        if complete or texts is None:
            compare_generated(self._eager.run, {name: run}, self._reader, {name: on_generated})
        if complete:
            compare_long(self._eager.run, {name: run}, texts, {name: on_long})
        sample = self._invariance_sample
        stability = invariance.measure(sample, run, workers=1) if complete and sample else ()
        answers = Observations(
            variant=session.variant,
            tallies=[*on_generated, *on_long, *on_texts],
            compared=compared,
            stability=stability,
        )
        all_verdicts = (*session.variant.verdicts, *judge_answers(answers, self._gates))
        decisions = compared.decisions if compared else 0
        return Judgement(
            verdicts=all_verdicts,
            examples=len(texts.examples) if texts else 0,
            failures=tuple(
                sentence(verdict)
                for verdict in all_verdicts
                if not verdict and (complete or is_final(verdict, decisions, self._gates.confidence))
            ),
        )


def is_final(verdict: Verdict, decisions: int, confidence: float) -> bool:
    """Whether a verdict that failed on some of the texts would also fail on more of them.

    The favourable end of the interval decides. A loss brings its own interval; the agreement of labels gets that of
    Clopper and Pearson (1934). Every other check fails as soon as one value is beyond its limit.
    """
    if verdict.interval is not None:
        return verdict.interval[0] > verdict.limit
    if verdict.kind == verdicts.AGREEMENT:
        agreed = round(verdict.observed * decisions)
        interval = stats.binomtest(agreed, decisions).proportion_ci(2 * confidence - 1)
        return float(interval.high) < verdict.limit
    return True
