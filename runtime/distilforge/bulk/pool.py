"""Worker processes on this machine, each with its own cores."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from distilforge.affinity import available_cores
from distilforge.bulk.rows import Answers, Batch
from distilforge.bulk.slot import WorkerSlot
from distilforge.bulk.worker import OpensAnswerer

AHEAD = 2
"""How many batches a worker may be ahead of the output: bounds the memory."""


def answer_in_processes(
    batches: Iterable[Batch], settings: OpensAnswerer, *, workers: int, threads: int
) -> Generator[Answers, None, None]:
    """The answers to `batches`, in order, from `workers` processes of `threads` threads each.

    A process has cores of its own if there are enough for all. The processes end when the iterator ends, however it
    ends.
    """
    cores = available_cores()
    pinned = workers * threads <= len(cores)
    slots = [
        WorkerSlot(
            settings,
            threads=threads,
            cores=cores[index * threads : (index + 1) * threads] if pinned else (),
        )
        for index in range(workers)
    ]
    idle: SimpleQueue[WorkerSlot] = SimpleQueue()
    for slot in slots:
        idle.put(slot)

    def answer(batch: Batch) -> Answers:
        slot = idle.get()
        try:
            return slot.answer(batch)
        finally:
            idle.put(slot)

    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="distilforge-worker")
    pending: deque[Future[Answers]] = deque()
    try:
        for batch in batches:
            pending.append(pool.submit(answer, batch))
            if len(pending) > AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for slot in slots:
            slot.kill()
        pool.shutdown()
        for slot in slots:
            slot.close()
