"""Calls from asyncio, and their cancellation."""

import asyncio
import time
from collections.abc import Callable

import distilforge
import pytest
from distilforge.errors import BusyError, InputError, UnavailableError
from distilforge.heads import heads

from tests.batched_session import SECONDS, open_session, watch
from tests.head_answers import INPUTS, assert_same_answer

HEAD = "sequence_classification"


def classifier() -> distilforge.SequenceClassification:
    session = open_session(HEAD)
    assert isinstance(session, distilforge.SequenceClassification)
    return session


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("head", heads.names())
def test_tasks_get_the_answers_of_the_session_alone(head: str) -> None:
    session = open_session(head)
    inputs = INPUTS[head]

    async def ask() -> list[object]:
        async with session.batched(max_delay=0.5) as batcher:
            answers = await asyncio.gather(*(batcher.answer(batcher.session, value) for value in inputs))  # type: ignore[arg-type]
            assert batcher.counts.runs < batcher.counts.requests
            return list(answers)

    for value, answer in zip(inputs, asyncio.run(ask()), strict=True):
        assert_same_answer(answer, session(value))  # type: ignore[operator]


def test_options_and_errors_are_those_of_a_call() -> None:
    session = classifier()

    async def ask() -> None:
        async with session.batched() as batcher:
            answer = await batcher.answer(batcher.session, "the film", top_k=2)
            assert_same_answer(answer, session("the film", top_k=2))
            with pytest.raises(InputError, match="has 102 tokens"):
                await batcher.answer(batcher.session, "cat " * 100)

    asyncio.run(ask())


def test_the_work_of_a_cancelled_task_is_dropped_before_it_runs() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()

    async def ask() -> None:
        async with session.batched(max_delay=0.0, max_waiting=4) as batcher:
            running = asyncio.create_task(batcher.answer(batcher.session, "the film"))  # type: ignore[arg-type]
            await until(engine.entered.is_set)
            waiting = [
                asyncio.create_task(batcher.answer(batcher.session, "the doctor and the king"))  # type: ignore[arg-type]
                for _ in range(3)
            ]
            await until(lambda: batcher.counts.waiting == 3)
            # It does not even have a thread
            outside = asyncio.create_task(batcher.answer(batcher.session, "the king"))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            for task in (*waiting[:2], outside):
                task.cancel()
            await until(lambda: batcher.counts.waiting == 1)
            assert batcher.counts.cancelled == 2
            engine.gate.set()
            assert_same_answer(await running, classifier()("the film"))
            assert_same_answer(await waiting[2], classifier()("the doctor and the king"))
            for task in (*waiting[:2], outside):
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(ask())
    assert [shape[0] for shape in engine.shapes] == [1, 1]


def test_a_cancelled_list_makes_no_more_requests() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()

    async def ask() -> None:
        async with session.batched(max_delay=0.0) as batcher:
            task = asyncio.create_task(batcher.answer(batcher.session, ["the film"] * 40))  # type: ignore[arg-type]
            await until(engine.entered.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            engine.gate.set()

    asyncio.run(ask())
    assert len(engine.shapes) == 1


def test_a_task_that_waits_for_room_can_be_cancelled() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()

    async def ask() -> None:
        async with session.batched(max_delay=0.0, max_waiting=2) as batcher:
            first = asyncio.create_task(asyncio.to_thread(batcher.session, "the film"))  # type: ignore[arg-type]
            await until(engine.entered.is_set)
            others = [
                asyncio.create_task(asyncio.to_thread(batcher.session, "the king"))  # type: ignore[arg-type]
                for _ in range(2)
            ]
            await until(lambda: batcher.counts.waiting == 2)
            blocked = asyncio.create_task(batcher.answer(batcher.session, "the doctor"))  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
            blocked.cancel()
            await until(lambda: batcher.counts.cancelled == 1)
            engine.gate.set()
            await asyncio.gather(first, *others)
            assert batcher.counts.requests == 3

    asyncio.run(ask())


def test_more_calls_than_threads_can_be_an_error() -> None:
    session, engine = watch(classifier())
    engine.gate.clear()

    async def ask() -> None:
        async with session.batched(max_delay=0.0, max_waiting=2, when_full="error") as batcher:
            tasks = [
                asyncio.create_task(batcher.answer(batcher.session, "the film"))  # type: ignore[arg-type]
                for _ in range(2)
            ]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match=r"2 calls are in progress.* at most 2 \(max_waiting\)"):
                await batcher.answer(batcher.session, "the film")  # type: ignore[arg-type]
            engine.gate.set()
            await asyncio.gather(*tasks)
        with pytest.raises(UnavailableError, match="was closed"):
            await batcher.answer(batcher.session, "the film")  # type: ignore[arg-type]

    asyncio.run(ask())
