"""The search: every module quantized alone, the costliest restored alone, and the fewest to exclude."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.bisection.boundaries import swallowed
from pipeline.bisection.hybrid import Hybrid
from pipeline.bisection.measure import Outcome, decibels, local_noise, mispaired, try_all
from pipeline.bisection.result import Bisection, Module
from pipeline.precision.layers.packed import packed_with
from validation.answers.accuracy import Evaluation
from validation.answers.batches import batches

MOST_EXCLUDED = 6
# Restoring a module takes as long as quantizing it alone, and tells little about the cheaper ones.
MOST_RESTORED = 10
# Modules are worth excluding where at most this share of the noise is left.
WORTHWHILE = 0.5
# Float kernels that add in another order differ by about 1e-13 of the energy.
NEGLIGIBLE = 1e-10
WHOLE = "whole"

Progress = Callable[[str, int, int], None]
"""Receives what is being done, how many runs of it are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search needs: the merged graph, the names of its modules, and the texts."""

    names: tuple[str, ...]
    """The module that ends at each boundary of `hybrid`."""
    weighted: tuple[str, ...]
    """The modules that own weights; only these can be excluded."""
    followers: Mapping[str, Sequence[str]]
    """The modules whose boundaries come next after each module."""
    packed: bool
    """Whether the variant has packed projections, which are excluded together."""
    hybrid: Hybrid
    """Both graphs in one."""
    evaluation: Evaluation
    """The texts to run."""
    progress: Progress
    """Receives progress messages."""

    def run(self, release: str, variant: str) -> Bisection:
        """The result for `variant` of `release`."""
        feeds = [batch.feeds for batch in batches(self.evaluation.rows, self.evaluation.reader)]
        self.progress("comparing the modules' ends", 0, 1)
        unpaired = mispaired(self.hybrid, feeds[0])
        own = local_noise(self.hybrid, feeds, unpaired=unpaired)
        paired = frozenset(range(len(self.names))) - unpaired
        # A module without noise of its own, such as the core of attention in fp32, cannot cost anything.
        costing = [index for index in sorted(paired) if own[index] > NEGLIGIBLE]
        alone = self._try(
            "quantizing each module alone",
            {WHOLE: paired} | {self.names[index]: frozenset({index}) for index in costing},
            unpaired,
        )
        whole = alone[WHOLE]
        hidden = swallowed(self.followers, {self.names[index] for index in paired}, self.weighted)
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
        modules = self._restore_costliest(ranked, paired, unpaired)
        exclude, excluded = self._exclude(modules, paired, unpaired, whole)
        metric = whole.comparison.metrics[0] if whole.comparison.metrics else None
        return Bisection(
            release=release,
            variant=variant,
            examples=len(self.evaluation.examples),
            tokens=sum(row.tokens * len(row.encodings) for row in self.evaluation.rows),
            decisions=whole.comparison.decisions,
            noise=whole.noise,
            flips=whole.flips,
            metric_name=metric.name if metric else None,
            float_metric=metric.eager if metric else None,
            metric=metric.variant if metric else None,
            modules=tuple(modules),
            exclude=exclude,
            excluded_noise=excluded.noise,
            excluded_flips=excluded.flips,
            not_compared=tuple(self.names[index] for index in sorted(unpaired)),
        )

    def _restore_costliest(
        self, ranked: Sequence[Module], paired: frozenset[int], unpaired: frozenset[int]
    ) -> list[Module]:
        """`ranked` with the noise that is left when each of the costliest alone is restored."""
        costliest = ranked[:MOST_RESTORED]
        sets = {module.name: paired - {self.names.index(module.name)} for module in costliest}
        outcomes = self._try("restoring each of the costliest alone", sets, unpaired) if sets else {}
        restored = [
            replace(
                module,
                restored=outcomes[module.name].noise,
                flips_restored=outcomes[module.name].flips,
            )
            for module in costliest
        ]
        return [*restored, *ranked[MOST_RESTORED:]]

    def _exclude(
        self, modules: Sequence[Module], paired: frozenset[int], unpaired: frozenset[int], whole: Outcome
    ) -> tuple[tuple[str, ...], Outcome]:
        """The fewest of the costliest modules that make up half of the noise, and the outcome without them.

        No module and `whole` where more than MOST_EXCLUDED would be needed: excluding does not help against noise
        that is spread over many modules.
        """
        sets: dict[str, frozenset[int]] = {}
        names: dict[str, tuple[str, ...]] = {}
        excluded: tuple[str, ...] = ()
        for count, module in enumerate(modules[:MOST_EXCLUDED], start=1):
            excluded = tuple(dict.fromkeys((*excluded, *self._excludable(module))))
            floats = {*excluded, *(costlier.name for costlier in modules[:count])}
            sets[module.name] = paired - {index for index, name in enumerate(self.names) if name in floats}
            names[module.name] = excluded
        outcomes = self._try("trying what to exclude", sets, unpaired) if sets else {}
        for last, outcome in outcomes.items():
            if outcome.noise <= WORTHWHILE * whole.noise and names[last]:
                return names[last], outcome
        return (), whole

    def _excludable(self, module: Module) -> tuple[str, ...]:
        """The names that exclude `module`: itself, the modules it swallowed, and those it is packed with."""
        named = [name for name in (module.name, *module.swallowed) if name in self.weighted]
        if not self.packed:
            return tuple(named)
        return tuple(part for name in named for part in packed_with(name) or (name,))

    def _try(
        self, doing: str, sets: Mapping[str, frozenset[int]], unpaired: frozenset[int]
    ) -> dict[str, Outcome]:
        return try_all(
            self.hybrid,
            self.evaluation,
            sets,
            unpaired=unpaired,
            progress=lambda done, of: self.progress(doing, done, of),
        )
