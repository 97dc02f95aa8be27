"""What to try next: the starting plans, each single change of the default, then what Optuna's TPE sampler proposes.

Optuna holds no state of its own: a study is made from the evidence at every start, so that there is one record.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import MissingError
from pipeline.recipe.plan import Plan
from pipeline.store.versions import installed
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.space import WITH, WITHOUT, Params, Pick, Space, key

if TYPE_CHECKING:
    pass

# Proposals in a row that were tried before, after which it draws at random, and after which there is nothing left
TEDIOUS = 20
MOST_REPEATED = 400


def check_installed() -> None:
    """MissingError where Optuna is not installed."""
    if installed("optuna") is None:
        raise MissingError(
            "tuning needs the package optuna, which is not installed",
            hint='pip install "distilforge-pipeline[tune]"',
        )


class Proposals:
    """Plans of `space` that `evidence` has not settled, until there are none."""

    def __init__(self, space: Space, evidence: Evidence, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._evidence = evidence
        # A restart must not draw again what it drew before
        self._seed = seed + len(evidence.trials)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed))
        self._repairs: list[Params] = []
        for trial in evidence.trials:
            self.learn(trial)

    def all(self, starts: Sequence[Plan]) -> Iterator[tuple[Plan, Params]]:
        """Plans with the options they are made of; what they came to is to be told before the next is asked for."""
        default, *others = starts
        # What everything is measured against has to be there, whatever became of it before
        if all(trial.key != key(default) for trial in self._evidence.trials):
            yield default, self._space.params(default)
            yield from self._repaired()
        yield from self._new((start, self._space.params(start)) for start in others)
        near = self._space.neighbours(self._space.params(default))
        yield from self._new((self._space.plan(_taking(params)), params) for params in near)
        yield from self._drawn()

    def learn(self, trial: Trial) -> None:
        """Take `trial` into account; one that a pass made impossible is to be tried without it next."""
        import optuna
        from optuna.distributions import CategoricalDistribution

        if trial.params.get(trial.fault) == WITH:
            self._repairs.append({**trial.params, trial.fault: WITHOUT})
        options = {choice.name: tuple(choice.options) for choice in self._space.choices}
        known = {name: option for name, option in trial.params.items() if option in options.get(name, ())}
        self._study.add_trial(
            optuna.trial.create_trial(
                # What failed the gate or cannot be built is no good, however fast
                state=optuna.trial.TrialState.PRUNED
                if trial.value is None or trial.outcome == "less accurate"
                else optuna.trial.TrialState.COMPLETE,
                value=None if trial.outcome == "less accurate" else trial.value,
                params=dict(known),
                distributions={name: CategoricalDistribution(options[name]) for name in known},
            )
        )

    def _new(self, made: Iterable[tuple[Plan, Params]]) -> Iterator[tuple[Plan, Params]]:
        for plan, params in made:
            if not self._evidence.settled(plan):
                yield plan, params
                yield from self._repaired()

    def _repaired(self) -> Iterator[tuple[Plan, Params]]:
        while self._repairs:
            params = self._repairs.pop()
            plan = self._space.plan(_taking(params))
            if not self._evidence.settled(plan):
                yield plan, params

    def _drawn(self) -> Iterator[tuple[Plan, Params]]:
        import optuna

        guided = self._study.sampler
        by_chance = optuna.samplers.RandomSampler(seed=self._seed)
        repeated = 0
        while repeated < MOST_REPEATED:
            self._study.sampler = by_chance if repeated >= TEDIOUS else guided
            plan, params = self._ask()
            if self._evidence.settled(plan):
                repeated += 1
                continue
            repeated = 0
            yield plan, params
            yield from self._repaired()

    def _ask(self) -> "tuple[Plan, Params]":
        import optuna

        asked: optuna.trial.Trial = self._study.ask()
        params: dict[str, str] = {}

        def pick(name: str, options: tuple[str, ...]) -> str:
            params[name] = asked.suggest_categorical(name, options)
            return params[name]

        plan = self._space.plan(pick)
        # What is learnt of it is added as a trial of its own, as it is after a restart
        self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return plan, params


def _taking(params: Params) -> Pick:
    """The options in `params`, and the first of a choice that is not in there."""
    return lambda name, options: params.get(name, options[0])
