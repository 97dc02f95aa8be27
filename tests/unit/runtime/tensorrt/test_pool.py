"""A bounded number of things, each in one thread at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from distilforge.tensorrt.pool import Pool


class Thing:
    def __init__(self) -> None:
        self.closed = False
        self.users = 0

    def close(self) -> None:
        self.closed = True


def test_bound_and_exclusiveness() -> None:
    made: list[Thing] = []

    def make() -> Thing:
        made.append(Thing())
        return made[-1]

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
    assert len(made) == 2


def test_the_last_used_is_handed_out() -> None:
    pool = Pool(Thing, 3)
    with pool.borrow() as first, pool.borrow():
        pass
    with pool.borrow() as again:
        assert again is first


def test_what_failed_is_closed_and_replaced() -> None:
    pool = Pool(Thing, 1)
    with pytest.raises(RuntimeError), pool.borrow() as failed:
        raise RuntimeError
    with pool.borrow() as other:
        assert other is not failed
    assert (failed.closed, other.closed) == (True, False)


def test_making_may_fail_without_losing_a_place() -> None:
    def fail() -> Thing:
        raise OSError

    pool = Pool(fail, 1)
    for _ in range(3):
        with pytest.raises(OSError), pool.borrow():  # noqa: PT011
            pass


def test_what_is_out_is_closed_when_it_comes_back() -> None:
    pool = Pool(Thing, 2)
    with pool.borrow() as idle:
        pass
    with pool.borrow() as out:
        pool.close()
        assert out is idle
        assert not out.closed
    assert out.closed
