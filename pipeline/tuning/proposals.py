"""What to try next: the starting plans, then each single change of the default, then proposals of Optuna's TPE sampler.

Optuna keeps no state of its own. A study is made from the evidence at every start, so there is only one record.
"""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.errors import MissingError
from pipeline.recipe.plan import Plan
from pipeline.store.versions import installed
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.space import WITH, WITHOUT, Params, Pick, Space, plan_key

# After this many proposals in a row that were tried before, plans are drawn at random
REPEATS_BEFORE_RANDOM = 20
# After this many, the space is taken as exhausted
MOST_REPEATS = 400


def check_installed() -> None:
    """Raise MissingError if Optuna is not installed."""
    if installed("optuna") is None:
        raise MissingError(
            "tuning needs the package optuna, which is not installed",
            hint='pip install "distilforge-pipeline[tune]"',
        )


class Proposals:
    """Proposes the plans of `space` that `evidence` has not settled, until none is left."""

    def __init__(self, space: Space, evidence: Evidence, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._evidence = evidence
        # A restarted search must not draw the same plans again
        self._seed = seed + len(evidence.trials)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed))
        self._repairs: list[Params] = []
        for trial in evidence.trials:
            self.learn(trial)

    def plans(self, starts: Sequence[Plan]) -> Iterator[tuple[Plan, Params]]:
        """Plans with the options they are made of. Call `learn` with the trial of each before asking for the next."""
        default, *others = starts
        # Every plan is compared with the default, so it is tried even if an earlier run could not finish it
        if all(trial.key != plan_key(default) for trial in self._evidence.trials):
            yield default, self._space.params(default)
            yield from self._pending_repairs()
        yield from self._untried((start, self._space.params(start)) for start in others)
        neighbours = self._space.neighbours(self._space.params(default))
        yield from self._untried((self._space.plan(_pick_from(params)), params) for params in neighbours)
        yield from self._drawn()

    def learn(self, trial: Trial) -> None:
        """Take `trial` into account. If a pass made the plan impossible, the plan without that pass comes next."""
        import optuna
        from optuna.distributions import CategoricalDistribution

        if trial.params.get(trial.failed_pass) == WITH:
            self._repairs.append({**trial.params, trial.failed_pass: WITHOUT})
        options = {parameter.name: tuple(parameter.options) for parameter in self._space.parameters}
        known = {name: option for name, option in trial.params.items() if option in options.get(name, ())}
        # A plan that failed the gate or cannot be built is never good, however fast it is
        pruned = trial.value is None or trial.outcome == "less accurate"
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE,
                value=None if pruned else trial.value,
                params=dict(known),
                distributions={name: CategoricalDistribution(options[name]) for name in known},
            )
        )

    def _untried(self, proposed: Iterable[tuple[Plan, Params]]) -> Iterator[tuple[Plan, Params]]:
        for plan, params in proposed:
            if not self._evidence.is_settled(plan):
                yield plan, params
                yield from self._pending_repairs()

    def _pending_repairs(self) -> Iterator[tuple[Plan, Params]]:
        while self._repairs:
            params = self._repairs.pop()
            plan = self._space.plan(_pick_from(params))
            if not self._evidence.is_settled(plan):
                yield plan, params

    def _drawn(self) -> Iterator[tuple[Plan, Params]]:
        import optuna

        guided = self._study.sampler
        random = optuna.samplers.RandomSampler(seed=self._seed)
        repeats = 0
        while repeats < MOST_REPEATS:
            self._study.sampler = random if repeats >= REPEATS_BEFORE_RANDOM else guided
            plan, params = self._draw()
            if self._evidence.is_settled(plan):
                repeats += 1
                continue
            repeats = 0
            yield plan, params
            yield from self._pending_repairs()

    def _draw(self) -> tuple[Plan, Params]:
        import optuna

        draft: optuna.trial.Trial = self._study.ask()
        params: dict[str, str] = {}

        def pick(name: str, options: tuple[str, ...]) -> str:
            params[name] = draft.suggest_categorical(name, options)
            return params[name]

        plan = self._space.plan(pick)
        # `learn` adds the result as a trial of its own, as it does after a restart
        self._study.tell(draft, state=optuna.trial.TrialState.FAIL)
        return plan, params


def _pick_from(params: Params) -> Pick:
    """Pick the options in `params`, and the first option of a parameter that is not in there."""
    return lambda name, options: params.get(name, options[0])
