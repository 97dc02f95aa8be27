"""A limited number of resources, each used by one thread at a time."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from distilforge.errors import EngineError
from distilforge.tensorrt.pool import Pool


class Thing:
    def __init__(self) -> None:
        self.closed = False
        self.users = 0

    def close(self) -> None:
        self.closed = True


def test_the_limit_and_exclusive_use() -> None:
    things: list[Thing] = []

    def make() -> Thing:
        things.append(Thing())
        return things[-1]

    pool = Pool(make, 2)
    pairs = threading.Barrier(2)

    def work(_: int) -> None:
        with pool.borrow() as thing:
            thing.users += 1
            assert thing.users == 1
            pairs.wait(timeout=30)  # two do work at once
            thing.users -= 1

    with ThreadPoolExecutor(max_workers=6) as threads:
        list(threads.map(work, range(20)))
    assert len(things) == 2


def test_the_last_used_is_lent_first() -> None:
    pool = Pool(Thing, 3)
    with pool.borrow() as first, pool.borrow():
        pass
    with pool.borrow() as again:
        assert again is first


def test_a_failed_resource_is_closed_and_replaced() -> None:
    pool = Pool(Thing, 1)
    with pytest.raises(RuntimeError), pool.borrow() as failed:
        raise RuntimeError
    with pool.borrow() as other:
        assert other is not failed
    assert (failed.closed, other.closed) == (True, False)


def test_a_failed_creation_does_not_use_up_the_limit() -> None:
    def fail() -> Thing:
        raise OSError

    pool = Pool(fail, 1)
    for _ in range(3):
        with pytest.raises(OSError), pool.borrow():  # noqa: PT011
            pass


def test_where_there_is_no_room_for_another_one_a_thread_waits_for_those_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[Thing] = []

    def make() -> Thing:
        if made:
            refused.set()
            raise EngineError("the device is full")
        made.append(Thing())
        return made[0]

    def work() -> Thing:
        with pool.borrow() as thing:
            return thing

    refused = threading.Event()
    pool = Pool(make, 3)
    with ThreadPoolExecutor(max_workers=1) as threads:
        with pool.borrow() as first:
            waiting = threads.submit(work)
            assert refused.wait(timeout=30)
        assert waiting.result(timeout=30) is first
    assert (
        caplog.text.count("batches wait for each other, since one more at once fails: the device is full")
        == 1
    )


def test_the_last_resource_that_fails_lets_the_next_thread_try_again() -> None:
    refused = threading.Event()
    has_room = True

    def make() -> Thing:
        if not has_room:
            refused.set()
            raise EngineError("the device is full")
        return Thing()

    def work() -> None:
        with pool.borrow():
            pass

    def fail() -> None:
        with pool.borrow():
            nonlocal has_room
            has_room = False
            waiting.append(threads.submit(work))
            assert refused.wait(timeout=30)
            raise RuntimeError

    pool = Pool(make, 2)
    waiting: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=1) as threads:
        with pytest.raises(RuntimeError):
            fail()
        with pytest.raises(EngineError, match="the device is full"):
            waiting[0].result(timeout=30)
    has_room = True
    work()


def test_a_lent_resource_is_closed_when_it_is_returned() -> None:
    pool = Pool(Thing, 2)
    with pool.borrow() as idle:
        pass
    with pool.borrow() as out:
        pool.close()
        assert out is idle
        assert not out.closed
    assert out.closed
