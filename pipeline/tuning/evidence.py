"""The evidence of a search: one JSON line an event, on the disk before anything else happens, read again on a restart.

The first line says what was searched and where; trials measured under other conditions say nothing here, so that a file
with another first line is put aside. A line that a crash cut short is dropped.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from distilforge.manifest import Measurement, Steadiness, Verdict
from distilforge.timing.rounds import Timing

from pipeline.recipe.plan import Plan, from_table
from pipeline.store.work import Talk
from pipeline.tuning.space import Params, key

Outcome = Literal["better", "not faster", "less accurate", "not settled", "impossible"]
OUTCOMES: tuple[Outcome, ...] = ("better", "not faster", "less accurate", "not settled", "impossible")
# A plan that twice took the process with it is not tried a third time.
MOST_DEATHS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One plan, tried."""

    number: int
    """How many were tried before it."""
    plan: Plan
    """What was tried."""
    params: Params
    """The options that the plan is made of."""
    outcome: Outcome
    """What became of it; what is not settled, since the machine was not steady, may be tried again in another run."""
    reason: str
    """Why the outcome is what it is."""
    fault: str = ""
    """The pass that found too little, where that made the plan impossible."""
    value: float | None = None
    """The logarithm of its time relative to the default plan's, which guides the search; None where not timed."""
    over: str = ""
    """The key of the best plan then, beside which it was timed."""
    ratio: float | None = None
    """How many times as fast as that plan it is."""
    interval: tuple[float, float] | None = None
    """The ratio's, each end one-sided."""
    examples: int = 0
    """How many texts the verdicts stand on."""
    verdicts: tuple[Verdict, ...] = ()
    """On its answers."""
    measurements: tuple[Measurement, ...] = ()
    """Every timed run of it and of the plans beside it, by their keys."""
    steadiness: Steadiness | None = None
    """Whether the ratio can be claimed; None where it was not timed."""
    seconds: float = 0.0
    """How long the trial took."""

    @property
    def key(self) -> str:
        return key(self.plan)

    @property
    def accurate(self) -> bool:
        """Whether its answers were judged and met every limit."""
        return bool(self.verdicts) and all(self.verdicts)

    @property
    def timing(self) -> Timing | None:
        """The timing that the ratio is of; None where it was not timed."""
        if self.steadiness is None:
            return None
        return Timing(measurements=self.measurements, steadiness=self.steadiness)


class Evidence:
    """The file at `path`, for the search that `conditions` describe; both survive a process that is killed."""

    def __init__(self, path: Path, conditions: Mapping[str, object], talk: Talk) -> None:
        self.path = path
        self.trials: list[Trial] = []
        self._begun: dict[str, int] = {}
        self._settled: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        first = {"event": "search", "conditions": json.loads(json.dumps(conditions))}
        events = _read(path)
        if events and {name: events[0].get(name) for name in first} != first:
            aside = _free(path)
            path.rename(aside)
            talk.note(f"{path} is of another checkpoint, data, machine or source; it is now {aside.name}")
            events = []
        for event in events[1:]:
            self._take(event)
        if not events:
            self._append({**first, "date": _now()})

    def begin(self, plan: Plan) -> None:
        """`plan` is about to be tried, which may end this process."""
        self._append({"event": "begin", "key": key(plan)})
        self._begun[key(plan)] = self._begun.get(key(plan), 0) + 1

    def unfinished(self, plan: Plan) -> None:
        """The trial of `plan` was stopped by a person or the clock, and no fault of its own."""
        self._append({"event": "unfinished", "key": key(plan)})
        self._begun.pop(key(plan), None)

    def finish(self, trial: Trial) -> None:
        """`trial` is done, and not repeated in this run."""
        self._append({"event": "trial", "key": trial.key, **asdict(trial), "date": _now()})
        self._finished(trial)
        self._settled.add(trial.key)

    def settled(self, plan: Plan) -> bool:
        """Whether trying `plan` would repeat a trial, or end this process once more.

        What an earlier run did not settle may be tried again.
        """
        name = key(plan)
        return name in self._settled or self._begun.get(name, 0) >= MOST_DEATHS

    def _take(self, event: Mapping[str, object]) -> None:
        name = str(event.get("key"))
        if event["event"] == "begin":
            self._begun[name] = self._begun.get(name, 0) + 1
        elif event["event"] == "unfinished":
            self._begun.pop(name, None)
        else:
            self._finished(_trial(event))

    def _finished(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._begun.pop(trial.key, None)
        if trial.outcome != "not settled":
            self._settled.add(trial.key)

    def _append(self, event: Mapping[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _read(path: Path) -> list[dict[str, object]]:
    """The events in `path`; a last line that was cut short is cut off, so that the next one starts afresh."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.decode("utf-8").splitlines()]


def _trial(event: Mapping[str, object]) -> Trial:
    from distilforge.json_fields import Fields, read_number, read_text
    from distilforge.manifest import read_measurement, read_steadiness, read_verdict

    fields = Fields(event, "trial")
    interval = fields.list("interval", read_number) if fields.has("interval") else None
    outcome = next(each for each in OUTCOMES if each == fields.text("outcome"))
    return Trial(
        number=fields.integer("number"),
        plan=from_table(event["plan"], "", "plan"),
        params=fields.map("params", read_text),
        outcome=outcome,
        reason=fields.text("reason"),
        fault=fields.text("fault") if fields.has("fault") else "",
        value=fields.number("value") if fields.has("value") else None,
        over=fields.text("over"),
        ratio=fields.number("ratio") if fields.has("ratio") else None,
        interval=(interval[0], interval[1]) if interval else None,
        examples=fields.integer("examples"),
        verdicts=fields.list("verdicts", read_verdict),
        measurements=fields.list("measurements", read_measurement),
        steadiness=read_steadiness(fields.nested("steadiness")) if fields.has("steadiness") else None,
        seconds=fields.number("seconds"),
    )


def _free(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return aside


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
