"""An engine that runs the feeds of several threads together."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from threading import Thread

from distilforge.batching.call import current_call
from distilforge.batching.counts import BatchCounts
from distilforge.batching.merging import merge, split
from distilforge.batching.options import BatchingOptions
from distilforge.batching.queue import RequestQueue
from distilforge.batching.requests import BATCH, Request, request_of
from distilforge.checks.interface import check_outputs
from distilforge.engine import Array, Engine
from distilforge.errors import BusyError, UnavailableError
from distilforge.manifest import Manifest, Tensor


class BatchingEngine:
    """Gives each caller the outputs for its own feeds, which ran together with those of others."""

    def __init__(
        self, engine: Engine, options: BatchingOptions, *, manifest: Manifest, padding: Mapping[str, int]
    ) -> None:
        """Start the threads that run `engine`; `padding` has the value that pads an input, by its name."""
        self.options = options
        self._engine = engine
        self._queue = RequestQueue(options, most_rows=manifest.spans[BATCH].high)
        self._manifest = manifest
        self._padding = padding
        self._process = os.getpid()
        # A daemon does not keep a program alive that forgets to close its session
        self._threads = [
            Thread(target=self._work, name=f"distilforge-batching-{index}", daemon=True)
            for index in range(options.runs)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes, as of the engine that runs."""
        return self._engine.providers

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs that the engine reports."""
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The outputs that the engine reports."""
        return self._engine.outputs

    @property
    def counts(self) -> BatchCounts:
        """What was done so far."""
        return self._queue.counts

    def wake(self) -> None:
        """Let those who wait for room look again whether they were cancelled."""
        self._queue.wake()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by name, for feeds that were checked; waits until a run has them.

        Raises EngineError where the engine fails, BusyError where there is no room or no time, UnavailableError if the
        session was closed or belongs to another process, and CancelledError if the caller's task was cancelled.
        """
        if os.getpid() != self._process:
            raise UnavailableError(
                f"this batched session belongs to the process {self._process}; its threads are not in this one",
                hint="call session.batched() after the fork",
            )
        arrival = time.monotonic()
        deadline = None if self.options.timeout is None else arrival + self.options.timeout
        request = request_of(feeds, self._manifest, arrival)
        call = current_call.get()
        if call is not None:
            call.begin(request)
            if request.outputs.cancelled():
                raise CancelledError
        self._queue.put(request, deadline)
        try:
            return request.outputs.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            raise BusyError(
                f"there was no answer after {self.options.timeout:g} seconds (timeout)",
                hint="ask again later, or allow more time",
            ) from None
        finally:
            # Also after Ctrl-C; without effect on a request that was answered
            self._queue.drop(request)

    def close(self) -> None:
        """Take no more feeds, and return when those that wait were run."""
        self._queue.close()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while requests := self._queue.take():
            if len(requests) > 1 and self._answer(requests) is None:
                continue
            # After a run that failed, only the caller of the request that is the cause fails
            for request in requests:
                self._answer_alone(request)

    def _answer_alone(self, request: Request) -> None:
        failure = self._answer([request])
        if failure is not None:
            self._queue.count(lambda counts: replace(counts, failed=counts.failed + 1))
            request.outputs.set_exception(failure)

    def _answer(self, requests: Sequence[Request]) -> Exception | None:
        """Run the requests together and give each its outputs; what was raised instead, if anything was."""
        try:
            answers = self._run(requests)
        except Exception as error:  # noqa: BLE001 - the caller raises it
            return error
        self._queue.count(lambda counts: replace(counts, answered=counts.answered + len(requests)))
        for request, outputs in zip(requests, answers, strict=True):
            request.outputs.set_result(outputs)
        return None

    def _run(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        feeds = merge(requests, self._manifest, self._padding)
        rows = sum(request.rows for request in requests)
        longest = max(request.length for request in requests)
        started = time.monotonic()
        outputs = self._engine.run(feeds)
        seconds = time.monotonic() - started
        check_outputs(outputs, feeds, self._manifest)
        tokens = longest * sum(request.sequences for request in requests)
        own = sum(request.length * request.sequences for request in requests)

        def change(counts: BatchCounts) -> BatchCounts:
            return replace(
                counts,
                runs=counts.runs + 1,
                rows=counts.rows + rows,
                tokens=counts.tokens + tokens,
                padding=counts.padding + tokens - own,
                running_seconds=counts.running_seconds + seconds,
            )

        self._queue.count(change)
        return list(split(outputs, requests, self._manifest))
