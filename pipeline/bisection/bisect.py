"""Bisecting a variant: which modules cost it accuracy, how much, and what to leave in floating point."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distilforge.release import resolve, verify

from pipeline.bisection import inputs
from pipeline.bisection.boundaries import followers, parameterized, shared, swallowed
from pipeline.bisection.branches import keep_else
from pipeline.bisection.hybrid import Hybrid, load
from pipeline.bisection.measure import Outcome, decibels, local_noise, mispaired, try_all
from pipeline.errors import StageError, in_stage
from pipeline.graph.file import load as load_graph
from validation.accuracy import Evaluation
from validation.batches import batches

MOST_EXCLUDED = 6
# Restoring is tried for the costliest: it doubles their time, and tells little of the rest.
MOST_RESTORED = 10
# Leaving out modules that leave more than this share of the noise is not worth their time.
WORTHWHILE = 0.5
# Float kernels that add in another order differ by about 1e-13 of the energy.
NEGLIGIBLE = 1e-10
WHOLE = "whole"
_ATTENTION = ("q_lin", "k_lin", "v_lin")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """What one module costs. Noise is error energy as a share of the float values' energy.

    swallowed: modules before it whose end a fusion hides, so that their error is counted here. own: noise that it adds
    to its output when it computes from float inputs; own_decibels is the same as a signal-to-noise ratio, None where
    exact. alone: noise in the model's outputs with this module quantized and all others float. restored: noise left
    with all quantized but this one. flips_alone, flips_restored: decisions that then differ from those in float.
    Restoring is tried for the costliest ones only and is None for the rest.
    """

    name: str
    swallowed: tuple[str, ...]
    own: float
    own_decibels: float | None
    alone: float
    flips_alone: int
    restored: float | None = None
    flips_restored: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """The modules of a variant, the costliest first, and which to `exclude` from quantization.

    noise, flips: of the whole variant against its graph in float; excluded_noise, excluded_flips: with `exclude` in
    float. metric, float_metric: on labelled data, else None. `not_compared` are modules at whose end the graphs mean
    different values, such as scales that were moved; their error counts to the next one.
    """

    release: str
    variant: str
    examples: int
    tokens: int
    decisions: int
    noise: float
    flips: int
    metric_name: str | None
    float_metric: float | None
    metric: float | None
    modules: tuple[Module, ...]
    exclude: tuple[str, ...]
    excluded_noise: float
    excluded_flips: int
    not_compared: tuple[str, ...]

    @property
    def line(self) -> str:
        """`exclude` as a recipe or a preset has it."""
        return f"exclude = {json.dumps(self.exclude)}"


def bisect(
    release: Path,
    *,
    variant: str | None = None,
    checkpoint: Path | None = None,
    data: Path | None = None,
    progress: Progress = lambda doing, done, of: None,
) -> Bisection:
    """Find what costs `variant` of `release` accuracy; None takes the first that is not in fp32.

    The reference is the release's fp32 variant, or with `checkpoint` a fresh export of it. `data` is labelled data of
    the head, None takes texts that validation carries. Raises UsageError where there is nothing to compare,
    StageError where the two graphs have no module in common, ReleaseError for a damaged release, DataError for data,
    and what model_src raises for a checkpoint.
    """
    with in_stage("bisect"):
        return _bisect(resolve(release), variant, checkpoint, data, progress)


def _bisect(
    folder: Path, variant: str | None, checkpoint: Path | None, data: Path | None, progress: Progress
) -> Bisection:
    manifest = verify(folder)
    chosen = inputs.choose(manifest, variant, checkpoint)
    reference = inputs.reference(folder, manifest, checkpoint, chosen)
    found = load_graph(folder / chosen.files[0])
    for graph in (reference, found):
        keep_else(graph)
    boundaries = shared(reference, found)
    if len(boundaries) <= len(manifest.outputs):
        raise StageError(
            "bisect",
            f"{chosen.files[0]!r} and the reference have no module in common by name",
            hint="node names are lost where a graph was written by another tool; build the variant again",
        )
    evaluation = inputs.evaluation(folder, manifest, data)
    modules = parameterized(reference)
    after = followers(reference, boundaries)
    progress("joining both graphs", 0, 1)
    packed = any(name.endswith(".qkv_lin") for name in parameterized(found))
    hybrid = load(reference, found, boundaries, chosen)
    search = _Search(
        names=tuple(each.module for each in boundaries),
        weighted=modules,
        after=after,
        packed=packed,
        hybrid=hybrid,
        evaluation=evaluation,
        progress=progress,
    )
    return search.run(f"{manifest.name} {manifest.version}", chosen.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The merged graph with the names of its boundaries, and the texts to run."""

    names: tuple[str, ...]
    weighted: tuple[str, ...]
    after: Mapping[str, Sequence[str]]
    packed: bool
    hybrid: Hybrid
    evaluation: Evaluation
    progress: Progress

    def run(self, release: str, variant: str) -> Bisection:
        feeds = [batch.feeds for batch in batches(self.evaluation.rows, self.evaluation.served)]
        self.progress("comparing the modules' ends", 0, 1)
        apart = mispaired(self.hybrid, feeds[0])
        own = local_noise(self.hybrid, feeds, apart=apart)
        everything = frozenset(range(len(self.names))) - apart
        # What adds nothing of its own, such as attention's core in fp32, can neither cost nor gain anything.
        costing = [index for index in sorted(everything) if own[index] > NEGLIGIBLE]
        alone = self._try(
            "quantizing each module alone",
            {WHOLE: everything} | {self.names[index]: frozenset({index}) for index in costing},
            apart,
        )
        whole = alone[WHOLE]
        hidden = swallowed(self.after, {self.names[index] for index in everything}, self.weighted)
        ranked = sorted(
            (
                Module(
                    name=self.names[index],
                    swallowed=hidden.get(self.names[index], ()),
                    own=own[index],
                    own_decibels=decibels(own[index]),
                    alone=alone[self.names[index]].noise,
                    flips_alone=alone[self.names[index]].flips,
                )
                for index in costing
            ),
            key=lambda module: -module.alone,
        )
        modules = self._restored(ranked, everything, apart)
        exclude, excluded = self._exclude(modules, everything, apart, whole)
        scores = whole.comparison.metrics[0] if whole.comparison.metrics else None
        return Bisection(
            release=release,
            variant=variant,
            examples=len(self.evaluation.examples),
            tokens=sum(row.tokens * len(row.encodings) for row in self.evaluation.rows),
            decisions=whole.comparison.decisions,
            noise=whole.noise,
            flips=whole.flips,
            metric_name=scores.name if scores else None,
            float_metric=scores.eager if scores else None,
            metric=scores.variant if scores else None,
            modules=tuple(modules),
            exclude=exclude,
            excluded_noise=excluded.noise,
            excluded_flips=excluded.flips,
            not_compared=tuple(self.names[index] for index in sorted(apart)),
        )

    def _restored(
        self, ranked: Sequence[Module], everything: frozenset[int], apart: frozenset[int]
    ) -> list[Module]:
        """The modules with what restoring each of the costliest leaves."""
        first = ranked[:MOST_RESTORED]
        sets = {module.name: everything - {self.names.index(module.name)} for module in first}
        outcomes = self._try("restoring each of the costliest alone", sets, apart) if sets else {}
        tried = [
            replace(
                module,
                restored=outcomes[module.name].noise,
                flips_restored=outcomes[module.name].flips,
            )
            for module in first
        ]
        return [*tried, *ranked[MOST_RESTORED:]]

    def _exclude(
        self, modules: Sequence[Module], everything: frozenset[int], apart: frozenset[int], whole: Outcome
    ) -> tuple[tuple[str, ...], Outcome]:
        """The fewest of the costliest modules without which half the noise is gone, and what then remains.

        None where more than a handful would be needed: then the noise is spread, and excluding is not the remedy.
        """
        steps: dict[str, frozenset[int]] = {}
        names: dict[str, tuple[str, ...]] = {}
        left_out: tuple[str, ...] = ()
        for count, module in enumerate(modules[:MOST_EXCLUDED], start=1):
            left_out = tuple(dict.fromkeys((*left_out, *self._excludable(module))))
            floating = {*left_out, *(each.name for each in modules[:count])}
            restored = {index for index, name in enumerate(self.names) if name in floating}
            steps[module.name] = everything - restored
            names[module.name] = left_out
        outcomes = self._try("trying what to exclude", steps, apart) if steps else {}
        for step, outcome in outcomes.items():
            if outcome.noise <= WORTHWHILE * whole.noise and names[step]:
                return names[step], outcome
        return (), whole

    def _excludable(self, module: Module) -> tuple[str, ...]:
        """What to name in `exclude` for this module: itself, what it swallowed, and what it is packed with."""
        named = [name for name in (module.name, *module.swallowed) if name in self.weighted]
        return tuple(part for name in named for part in self._together(name))

    def _together(self, name: str) -> tuple[str, ...]:
        head, _, last = name.rpartition(".")
        if self.packed and last in _ATTENTION:
            return tuple(f"{head}.{part}" for part in _ATTENTION)
        return (name,)

    def _try(
        self, doing: str, sets: Mapping[str, frozenset[int]], apart: frozenset[int]
    ) -> dict[str, Outcome]:
        return try_all(
            self.hybrid,
            self.evaluation,
            sets,
            apart=apart,
            progress=lambda done, of: self.progress(doing, done, of),
        )
