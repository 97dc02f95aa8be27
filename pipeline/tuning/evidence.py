"""The evidence of a search: a file with one JSON line for each event.

Each event is on the disk before the search goes on, and a restarted search reads them all. The first line names the
conditions of the search. Trials under other conditions do not count, so a file with another first line is renamed and
a new one begins. A last line that a crash cut short is dropped.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from distilforge.manifest import Measurement, Steadiness, Verdict
from distilforge.reader import Reader
from distilforge.timing.rounds import Timing

from pipeline.errors import UsageError
from pipeline.recipe.plan import Plan
from pipeline.store.work import ProgressListener
from pipeline.tuning.space import Params, plan_key

Outcome = Literal["better", "not faster", "less accurate", "not settled", "impossible"]
FORMAT = 1
"""The version of the file. A file of another version is renamed, as one of other conditions is."""
_EVENT_FIELDS = ("event", "key", "date")
_READER = Reader(UsageError, unknown="refuse", table="table", rejections=(UsageError, ValueError))
# A plan that has ended the process twice is not tried a third time
MOST_CRASHES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One plan and how it fared."""

    number: int
    """The number of trials before this one."""
    plan: Plan
    """The plan that was tried."""
    params: Params
    """The options that the plan is made of, by parameter."""
    outcome: Outcome
    """How the trial ended. "not settled" means that the machine was not steady; another run may try the plan again."""
    reason: str
    """Why the trial ended with this outcome."""
    failed_pass: str = ""
    """The pass that made too few rewrites, if that made the plan impossible."""
    value: float | None = None
    """The logarithm of the time relative to the default plan's, which the search minimizes; None if not timed."""
    rival: str = ""
    """The key of the best plan at that time, which the plan was timed against."""
    ratio: float | None = None
    """How many times as fast as the rival the plan is."""
    interval: tuple[float, float] | None = None
    """The confidence interval of `ratio`; each end is one-sided."""
    examples: int = 0
    """The number of texts that the verdicts are based on."""
    verdicts: tuple[Verdict, ...] = ()
    """The checks of the plan's answers."""
    measurements: tuple[Measurement, ...] = ()
    """Every timed run of the plan and of its rivals; the subjects are the plans' keys."""
    steadiness: Steadiness | None = None
    """Whether the machine was steady enough to claim `ratio`; None if not timed."""
    seconds: float = 0.0
    """The duration of the trial."""

    @property
    def key(self) -> str:
        """The key of the plan."""
        return plan_key(self.plan)

    @property
    def accurate(self) -> bool:
        """Whether the answers were judged and met every limit."""
        return bool(self.verdicts) and all(self.verdicts)

    @property
    def timing(self) -> Timing | None:
        """The timing that `ratio` was computed from; None if not timed."""
        if self.steadiness is None:
            return None
        return Timing(measurements=self.measurements, steadiness=self.steadiness)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventHead:
    """What every event has."""

    event: Literal["begin", "unfinished", "trial"]
    """What happened."""
    key: str
    """The key of the plan."""


class Evidence:
    """The evidence file at `path` of the search that `conditions` describe. It survives a killed process.

    Raises UsageError if the file is damaged.
    """

    def __init__(self, path: Path, conditions: Mapping[str, object], listener: ProgressListener) -> None:
        self.path = path
        self.trials: list[Trial] = []
        self._starts: dict[str, int] = {}
        self._settled: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"event": "search", "format": FORMAT, "conditions": json.loads(json.dumps(conditions))}
        events = list(_read(path))
        if events and {name: events[0].get(name) for name in header} != header:
            backup = _unused_name(path)
            path.rename(backup)
            listener.note(f"{path} has another checkpoint, data, machine or source; it is now {backup.name}")
            events = []
        for line, event in enumerate(events[1:], start=2):
            try:
                self._replay(event)
            except UsageError as cause:
                raise _damaged(path, line, cause.message) from cause
        if not events:
            self._append({**header, "date": _now()})

    def begin(self, plan: Plan) -> None:
        """Record that `plan` is about to be tried, since the trial may end this process."""
        self._starts[plan_key(plan)] = self._starts.get(plan_key(plan), 0) + 1
        self._append({"event": "begin", "key": plan_key(plan)})

    def abandon(self, plan: Plan) -> None:
        """Record that a person or the deadline stopped the trial of `plan`, so it does not count as a crash.

        A trial that is recorded already stays as it is.
        """
        if self._starts.pop(plan_key(plan), 0):
            self._append({"event": "unfinished", "key": plan_key(plan)})

    def finish(self, trial: Trial) -> None:
        """Record `trial`, which is not repeated in this run."""
        # First here, so a search that is stopped in between knows all that is in the file
        self._add(trial)
        self._settled.add(trial.key)
        self._append({"event": "trial", "key": trial.key, **asdict(trial), "date": _now()})

    def is_settled(self, plan: Plan) -> bool:
        """Whether a trial of `plan` would repeat one, or has ended the process too often.

        A plan that an earlier run could not settle may be tried again.
        """
        key = plan_key(plan)
        return key in self._settled or self._starts.get(key, 0) >= MOST_CRASHES

    def _replay(self, event: Mapping[str, object]) -> None:
        head = _READER.read(_EventHead, {name: event.get(name) for name in ("event", "key")}, "event")
        if head.event == "begin":
            self._starts[head.key] = self._starts.get(head.key, 0) + 1
        elif head.event == "unfinished":
            self._starts.pop(head.key, None)
        else:
            self._add(_trial(event))

    def _add(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._starts.pop(trial.key, None)
        if trial.outcome != "not settled":
            self._settled.add(trial.key)

    def _append(self, event: Mapping[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _read(path: Path) -> Iterator[Mapping[str, object]]:
    """The events in `path`. A last line that was cut short is removed from the file, so the next line starts anew."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole_lines = content[: content.rfind(b"\n") + 1]
    if len(whole_lines) < len(content):
        os.truncate(path, len(whole_lines))
    for number, line in enumerate(whole_lines.splitlines(), start=1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as cause:
            raise _damaged(path, number, str(cause)) from cause
        if not isinstance(event, dict):
            raise _damaged(path, number, f"it must be a JSON object, found {type(event).__name__}")
        yield event


def _damaged(path: Path, line: int, reason: str) -> UsageError:
    return UsageError(
        f"{path}:{line} is damaged: {reason}", hint="rename the file or choose another --output to start anew"
    )


def _trial(event: Mapping[str, object]) -> Trial:
    own = {name: value for name, value in event.items() if name not in _EVENT_FIELDS}
    return _READER.read(Trial, own, "trial")


def _unused_name(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return backup


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
