"""A trial of batched sessions: many callers with real texts, batched and unbatched in turns.

    python -m bench.batching_trial artifacts/sentiment [--callers 64] [--seconds 60] [--asyncio]

Every answer is compared with that of the session alone. Prints one line of JSON; the exit code is 1 if an answer is
wrong, lost or an error, or if more requests waited than may.
"""

import argparse
import asyncio
import gzip
import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from itertools import islice
from pathlib import Path

import distilforge
import numpy as np
from distilforge.batching.batcher import Batcher
from distilforge.session import Session

from validation import data

# Turns of each kind, so that both see the machine in the same states
TURNS = 3
# Texts of the evaluation data, unless it is told otherwise
MOST_INPUTS = 500
# A text that is longer is left out, so that one of them does not decide a turn
MOST_CHARACTERS = 600
# Another batch adds up in another order: 1e-5 of the largest number in fp32. Where a variant rounds to fewer bits, a
# number may fall to the other side of a rounding: pass what its precision has
TOLERANCE = 1e-4
MAX_WAITING = 256


@dataclass(kw_only=True)
class Tally:
    """What the callers of one kind saw."""

    calls: int = 0
    """How many calls were begun."""
    answers: int = 0
    """How many of them were answered."""
    wrong: int = 0
    """How many answers differ from the session's alone."""
    errors: list[str] = field(default_factory=list)
    """What calls raised."""
    seconds: float = 0.0
    """How long the turns took."""

    @property
    def lost(self) -> int:
        """How many calls have neither an answer nor an error."""
        return self.calls - self.answers - len(self.errors)


class Check:
    """Holds answers against those of the session alone."""

    def __init__(self, expected: Sequence[object], tolerance: float) -> None:
        self._expected = [(list(_texts(answer)), np.array(list(_numbers(answer)))) for answer in expected]
        self._tolerance = tolerance

    def __call__(self, index: int, answer: object) -> bool:
        """Whether `answer` is the one to the input `index`."""
        texts, numbers = self._expected[index]
        found = np.array(list(_numbers(answer)))
        return (
            list(_texts(answer)) == texts
            and found.shape == numbers.shape
            and bool(np.allclose(found, numbers, rtol=self._tolerance, atol=self._tolerance))
        )


class Turn:
    """Callers that ask one after another until the time is over; each begins at another input."""

    def __init__(self, inputs: Sequence[object], check: Check, callers: int, tally: Tally) -> None:
        self._inputs = inputs
        self._check = check
        self._callers = callers
        self._tally = tally
        self._lock = threading.Lock()

    def with_threads(self, session: Session, seconds: float) -> None:
        """Ask `session` from threads."""
        assert callable(session)
        started = time.monotonic()
        threads = [
            threading.Thread(target=self._ask, args=(session, caller, started + seconds))
            for caller in range(self._callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._tally.seconds += time.monotonic() - started

    def with_tasks(self, batcher: Batcher[Session], seconds: float) -> None:
        """Ask `batcher` from asyncio."""
        started = time.monotonic()

        async def ask_all() -> None:
            await asyncio.gather(
                *(self._ask_task(batcher, caller, started + seconds) for caller in range(self._callers))
            )

        asyncio.run(ask_all())
        self._tally.seconds += time.monotonic() - started

    def _ask(self, session: Callable[[object], object], caller: int, end: float) -> None:
        for index in self._indices(caller, end):
            try:
                answer = session(self._inputs[index])
            except distilforge.DistilforgeError as error:
                self._note_error(error)
            else:
                self._note(index, answer)

    async def _ask_task(self, batcher: Batcher[Session], caller: int, end: float) -> None:
        session = batcher.session
        assert callable(session)
        for index in self._indices(caller, end):
            try:
                answer = await batcher.answer(session, self._inputs[index])
            except distilforge.DistilforgeError as error:
                self._note_error(error)
            else:
                self._note(index, answer)

    def _indices(self, caller: int, end: float) -> Iterator[int]:
        index = caller * 7
        while time.monotonic() < end:
            with self._lock:
                self._tally.calls += 1
            yield index % len(self._inputs)
            index += 1

    def _note(self, index: int, answer: object) -> None:
        right = self._check(index, answer)
        with self._lock:
            self._tally.answers += 1
            self._tally.wrong += not right

    def _note_error(self, error: Exception) -> None:
        with self._lock:
            self._tally.errors.append(str(error))


def _answer(session: Session, value: object) -> object:
    assert callable(session)
    answer: object = session(value)
    return answer


def inputs_of(head: str, most: int) -> list[object]:
    """At most `most` inputs of the head from the evaluation data that validation carries."""
    path = data.demo_texts(head, "evaluation")
    if path is None:
        raise SystemExit(f"there are no texts for the head {head!r}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records: Iterator[Mapping[str, object]] = (
            json.loads(line) for line in lines if len(line) <= MOST_CHARACTERS
        )
        return [_input(record) for record in islice(records, most)]


def _input(record: Mapping[str, object]) -> object:
    if "question" in record:
        return record["question"], record["context"]
    if "choices" in record:
        return record["context"], record["choices"]
    tokens = record.get("tokens")
    return " ".join(tokens) if isinstance(tokens, list) else record["text"]


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif isinstance(value, float):
        yield value
    for part in _parts(value):
        yield from _numbers(part)


def _texts(value: object) -> Iterator[object]:
    if isinstance(value, (str, int)):
        yield value
    for part in _parts(value):
        yield from _texts(part)


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, tuple):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, part.name) for part in fields(value))


def _resident_bytes() -> int:
    """The memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


class Watch:
    """Notes the largest memory and queue while a thread of it runs."""

    def __init__(self, batcher: Batcher[Session]) -> None:
        self.waiting = 0
        self.resident_bytes = 0
        self._batcher = batcher
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.02):
            self.waiting = max(self.waiting, self._batcher.counts.waiting)
            self.resident_bytes = max(self.resident_bytes, _resident_bytes())


def trial(session: Session, options: argparse.Namespace) -> tuple[dict[str, object], bool]:
    """Both kinds of callers in turns: what they saw, and whether every answer came and was right."""
    inputs = inputs_of(session.head, options.inputs)
    check = Check([_answer(session, value) for value in inputs], options.tolerance)
    unbatched, batched = Tally(), Tally()
    seconds = options.seconds / TURNS
    before_bytes = _resident_bytes()
    with session.batched(
        max_delay=options.max_delay,
        max_tokens=options.max_tokens,
        max_padding=options.max_padding,
        max_waiting=MAX_WAITING,
        runs=options.runs,
    ) as batcher:
        with Watch(batcher) as watch:
            for _ in range(TURNS):
                Turn(inputs, check, options.callers, unbatched).with_threads(session, seconds)
                turn = Turn(inputs, check, options.callers, batched)
                if options.asyncio:
                    turn.with_tasks(batcher, seconds)
                else:
                    turn.with_threads(batcher.session, seconds)
        counts = batcher.counts
    rates = {
        name: tally.answers / tally.seconds
        for name, tally in (("unbatched", unbatched), ("batched", batched))
    }
    passed = watch.waiting <= MAX_WAITING and not any(
        tally.wrong or tally.lost or tally.errors for tally in (unbatched, batched)
    )
    result: dict[str, object] = {
        "variant": session.variant.name,
        "callers": options.callers,
        "texts_per_second": rates,
        "times_as_fast": rates["batched"] / rates["unbatched"],
        "answers": {"unbatched": unbatched.answers, "batched": batched.answers},
        "wrong": {"unbatched": unbatched.wrong, "batched": batched.wrong},
        "lost": {"unbatched": unbatched.lost, "batched": batched.lost},
        "errors": (unbatched.errors + batched.errors)[:5],
        "most_waiting": watch.waiting,
        "resident_mebibytes": {"before": before_bytes >> 20, "most": watch.resident_bytes >> 20},
        "rows_per_run": counts.rows / max(1, counts.runs),
        "padding": counts.padding / max(1, counts.tokens),
        "counts": asdict(counts),
    }
    return result, passed


def main() -> None:
    """Run the trial and print its result as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.batching_trial", description=__doc__)
    parser.add_argument("release", help="artifacts/<name>, or a version folder inside it")
    parser.add_argument("--callers", type=int, default=64, help="callers at once (64)")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of each kind (60)")
    parser.add_argument("--inputs", type=int, default=MOST_INPUTS, help=f"different inputs ({MOST_INPUTS})")
    parser.add_argument("--asyncio", action="store_true", help="batched callers are tasks, not threads")
    parser.add_argument("--variant", help="the variant; by default the best for this machine")
    parser.add_argument("--threads", type=int, help="threads of one run; by default the engine's")
    parser.add_argument("--max-delay", type=float, default=0.002, help="as in Session.batched (0.002)")
    parser.add_argument("--max-tokens", type=int, help="as in Session.batched")
    parser.add_argument("--max-padding", type=float, default=0.25, help="as in Session.batched (0.25)")
    parser.add_argument("--runs", type=int, default=1, help="as in Session.batched (1)")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help=f"how far numbers may differ ({TOLERANCE:g})"
    )
    options = parser.parse_args()
    session = distilforge.open(options.release, variant=options.variant, threads=options.threads)
    result, passed = trial(session, options)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
