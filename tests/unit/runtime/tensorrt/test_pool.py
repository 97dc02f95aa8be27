"""A limited number of resources, each used by one thread at a time."""

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


def test_a_lent_resource_is_closed_when_it_is_returned() -> None:
    pool = Pool(Thing, 2)
    with pool.borrow() as idle:
        pass
    with pool.borrow() as out:
        pool.close()
        assert out is idle
        assert not out.closed
    assert out.closed
