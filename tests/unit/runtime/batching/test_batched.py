"""Callers of a batched session get the answers of the session alone."""

import pickle
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice

import distilforge
import numpy as np
import pytest
from distilforge.errors import BusyError, EngineError, InputError, UnavailableError
from distilforge.heads import heads

from tests.batched_session import SECONDS, open_session, watch
from tests.head_answers import INPUTS, TOO_LONG, assert_same_answer

HEAD = "sequence_classification"
# Long enough that all callers arrive; a full pack does not wait for it
DELAY = 0.05


def wait_until(condition: Callable[[], bool]) -> None:
    """Give other threads time until `condition` holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("head", heads.names())
def test_the_answers_are_those_of_each_input_alone(head: str) -> None:
    session, engine = watch(open_session(head))
    inputs = list(islice(cycle(INPUTS[head]), 24))
    with session.batched(max_delay=DELAY) as batcher, ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(batcher.session, inputs))  # type: ignore[arg-type]
        counts = batcher.counts
    assert (counts.answered, counts.failed, counts.waiting) == (counts.requests, 0, 0)
    assert counts.rows >= 24
    assert len(engine.shapes) == counts.runs < counts.requests
    assert max(shape[0] for shape in engine.shapes) <= session.manifest.spans["batch"].high
    for value, answer in zip(inputs, answers, strict=True):
        assert_same_answer(answer, session(value))  # type: ignore[operator]


@pytest.mark.parametrize("head", heads.names())
def test_an_input_that_cannot_be_answered_is_an_error_of_its_caller_alone(head: str) -> None:
    session = open_session(head)
    inputs = [INPUTS[head][0], TOO_LONG[head], INPUTS[head][1]]
    with session.batched(max_delay=DELAY) as batcher, ThreadPoolExecutor(3) as callers:
        first, second, third = [callers.submit(batcher.session, value) for value in inputs]  # type: ignore[arg-type]
        assert isinstance(second.exception(SECONDS), InputError)
        assert_same_answer(first.result(SECONDS), session(inputs[0]))  # type: ignore[operator]
        assert_same_answer(third.result(SECONDS), session(inputs[2]))  # type: ignore[operator]


def classifier() -> distilforge.SequenceClassification:
    session = open_session(HEAD)
    assert isinstance(session, distilforge.SequenceClassification)
    return session


def test_lists_options_and_arrays_are_those_of_the_session() -> None:
    session = classifier()
    texts = ["the film", "a good movie was not", "the"] * 7
    with session.batched(max_delay=0.0) as batcher:
        batched = batcher.session
        for answer, alone in zip(batched(texts, top_k=None), session(texts, top_k=None), strict=True):
            assert_same_answer(answer, alone)
        feeds = session.encode(texts[:3])
        np.testing.assert_array_equal(batched.run(feeds)["logits"], session.run(feeds)["logits"])
        assert list(batched.stream(iter(texts))) == batched(texts)
        assert (batched.variant, batched.providers) == (session.variant, session.providers)


def test_many_callers_lose_nothing_and_fill_a_bounded_queue() -> None:
    """A short version of `python -m bench.batching_trial`."""
    session = classifier()
    texts = [f"{'the film ' * (index % 9)}was good" for index in range(64)]
    alone = [session(text) for text in texts]
    most_waiting = 0

    def ask(first: int) -> int:
        nonlocal most_waiting
        for index in range(first, first + 5):
            answer = batcher.session(texts[index % 64])
            assert_same_answer(answer, alone[index % 64])
            most_waiting = max(most_waiting, batcher.counts.waiting)
        return 5

    with session.batched(max_waiting=16) as batcher, ThreadPoolExecutor(64) as callers:
        assert sum(callers.map(ask, range(64))) == 320
        counts = batcher.counts
    assert (counts.answered, counts.rows, counts.failed, counts.waiting) == (320, 320, 0, 0)
    assert counts.runs < 320
    assert most_waiting <= 16


def test_a_run_that_fails_is_repeated_for_each_caller() -> None:
    session, engine = watch(classifier())
    good = ["the film", "a movie", "the doctor"]
    engine.failing_id = int(session.encode(["hotel"])["input_ids"][0, 1])
    with session.batched(max_delay=DELAY) as batcher, ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(batcher.session, text) for text in (*good, "hotel")]  # type: ignore[arg-type]
        assert isinstance(answers[3].exception(SECONDS), EngineError)
        for text, answer in zip(good, answers, strict=False):
            assert_same_answer(answer.result(SECONDS), session(text))  # type: ignore[operator]
        counts = batcher.counts
    assert (counts.answered, counts.failed) == (3, 1)


def test_the_queue_is_bounded_and_callers_wait_for_room() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()
    with session.batched(max_delay=0.0, max_waiting=2) as batcher, ThreadPoolExecutor(8) as callers:
        answers: list[Future[object]] = [callers.submit(batcher.session, "the film")]  # type: ignore[arg-type]
        assert engine.entered.wait(SECONDS)
        answers += [
            callers.submit(batcher.session, f"the film {index}")  # type: ignore[arg-type]
            for index in range(7)
        ]
        # One runs, two wait, and five wait for room
        wait_until(lambda: batcher.counts.waiting == 2)
        assert batcher.counts.requests == 3
        engine.gate.set()
        for answer in answers:
            answer.result(SECONDS)
        assert (batcher.counts.answered, batcher.counts.rejected) == (8, 0)


def test_a_full_queue_can_be_an_error() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()
    with (
        session.batched(max_delay=0.0, max_waiting=1, when_full="error") as batcher,
        ThreadPoolExecutor(2) as callers,
    ):
        batched = batcher.session
        running = callers.submit(batched, "the film")  # type: ignore[arg-type]
        assert engine.entered.wait(SECONDS)
        waiting = callers.submit(batched, "the doctor")  # type: ignore[arg-type]
        wait_until(lambda: batcher.counts.waiting == 1)
        with pytest.raises(BusyError, match=r"1 requests wait already.* at most 1 \(max_waiting\)"):
            batched("the king")  # type: ignore[operator]
        engine.gate.set()
        running.result(SECONDS)
        waiting.result(SECONDS)
        assert batcher.counts.rejected == 1


def test_a_request_that_ran_out_of_time_is_dropped_before_it_runs() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()
    with session.batched(max_delay=0.0, timeout=0.1) as batcher, ThreadPoolExecutor(1) as callers:
        running = callers.submit(batcher.session, "the film")  # type: ignore[arg-type]
        assert engine.entered.wait(SECONDS)
        with pytest.raises(BusyError, match=r"no answer after 0\.1 seconds \(timeout\)"):
            batcher.session("the doctor and the king")  # type: ignore[operator]
        assert isinstance(running.exception(SECONDS), BusyError)
        counts = batcher.counts
        assert (counts.waiting, counts.cancelled) == (0, 1)
        engine.gate.set()
    assert len(engine.shapes) == 1


def test_what_waits_when_it_is_closed_is_answered() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()
    batcher = session.batched(max_delay=0.0)
    with ThreadPoolExecutor(4) as callers:
        running = callers.submit(batcher.session, "the film")  # type: ignore[arg-type]
        assert engine.entered.wait(SECONDS)
        waiting = callers.submit(batcher.session, "the king")  # type: ignore[arg-type]
        wait_until(lambda: batcher.counts.waiting == 1)
        closing = callers.submit(batcher.close)
        engine.gate.set()
        closing.result(SECONDS)
        for answer, text in ((running, "the film"), (waiting, "the king")):
            assert_same_answer(answer.result(SECONDS), session(text))  # type: ignore[operator]
    with pytest.raises(UnavailableError, match="was closed"):
        batcher.session("the film")  # type: ignore[operator]
    batcher.close()


def test_several_runs_execute_at_once() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()
    with session.batched(max_delay=0.0, runs=2, max_tokens=4) as batcher, ThreadPoolExecutor(2) as callers:
        answers = [callers.submit(batcher.session, text) for text in ("the film", "the king")]  # type: ignore[arg-type]
        wait_until(lambda: batcher.counts.requests == 2 and batcher.counts.waiting == 0)
        engine.gate.set()
        for answer in answers:
            answer.result(SECONDS)
    assert len(engine.shapes) == 2


def test_a_batched_session_stays_in_its_process() -> None:
    with classifier().batched() as batcher, pytest.raises(InputError, match="cannot be pickled"):
        pickle.dumps(batcher.session)


@pytest.mark.parametrize(
    ("option", "value", "bound"),
    [
        ("max_delay", -1.0, "from 0 to 60 seconds, found -1"),
        ("max_delay", float("nan"), "found nan"),
        ("max_delay", "1", "found '1'"),
        ("timeout", 0.0, "from 0.001 to 86400 seconds, found 0"),
        ("max_padding", 1.5, "from 0 to 1, found 1.5"),
        ("max_tokens", 0, "at least 1, found 0"),
        ("max_waiting", 1.5, "at least 1, found 1.5"),
        ("runs", 5000, "at most 1024, found 5000"),
        ("when_full", "drop", "cannot be 'drop'"),
    ],
)
def test_options_are_checked(option: str, value: object, bound: str) -> None:
    with pytest.raises(InputError, match=bound):
        classifier().batched(**{option: value})  # type: ignore[arg-type]
