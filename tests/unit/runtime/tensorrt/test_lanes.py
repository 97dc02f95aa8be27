"""Runs, memory, CUDA graphs and threads of an engine, on a device in host memory."""

import gc
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest
from distilforge.cuda.runtime import CudaPython
from distilforge.errors import EngineError
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.lanes import MOST_TOKENS_OF_A_GRAPH
from distilforge.tensorrt.settings import EngineSettings
from distilforge.tensorrt.toolkit import LoadedEngine

from tests.fake_gpu.cuda import FakeCuda
from tests.fake_gpu.toolkit import GPU, INPUTS, NAN_ID, OUTPUT, fake_engine, profile

Feeds = dict[str, npt.NDArray[np.int64]]


def feeds(batch: int, tokens: int, seed: int = 0) -> Feeds:
    random = np.random.default_rng(seed)
    return {
        "input_ids": random.integers(0, 9, (batch, tokens)),
        "attention_mask": random.integers(0, 2, (batch, tokens)),
    }


def expected(fed: Feeds, profile_index: int = 0) -> npt.NDArray[np.float32]:
    ids = fed["input_ids"]
    sums = (ids * fed["attention_mask"]).sum(1)
    return np.stack(
        [sums, np.full(len(ids), ids.shape[1]), np.full(len(ids), profile_index)], axis=1, dtype=np.float32
    )


def engine(cuda: FakeCuda, loaded: LoadedEngine | None = None, **settings: int) -> TensorRTEngine:
    return TensorRTEngine(loaded or fake_engine(cuda), CudaPython(), GPU, EngineSettings(**settings))


def check(subject: TensorRTEngine, fed: Feeds, profile_index: int = 0) -> None:
    outputs = subject.run(fed)
    assert outputs["logits"].dtype == np.float32
    np.testing.assert_array_equal(outputs["logits"], expected(fed, profile_index))


def test_batches_that_grow_and_shrink(cuda: FakeCuda) -> None:
    subject = engine(cuda)
    for number, (batch, tokens) in enumerate(((1, 2), (8, 64), (1, 2), (3, 40), (8, 64))):
        check(subject, feeds(batch, tokens, number))


def test_answers_survive_the_next_run(cuda: FakeCuda) -> None:
    subject = engine(cuda)
    first = feeds(2, 8, 1)
    kept = subject.run(first)["logits"]
    subject.run(feeds(2, 8, 2))
    np.testing.assert_array_equal(kept, expected(first))


def test_the_smallest_profile_is_used(cuda: FakeCuda) -> None:
    loaded = fake_engine(cuda, (profile(0, (1, 2), (8, 64)), profile(1, (1, 2), (8, 16))))
    subject = engine(cuda, loaded)
    check(subject, feeds(2, 16), profile_index=1)
    check(subject, feeds(2, 17), profile_index=0)
    check(subject, feeds(1, 3), profile_index=1)


def test_no_profile(cuda: FakeCuda) -> None:
    loaded = fake_engine(cuda, (profile(0, (1, 2), (8, 16)), profile(1, (1, 20), (8, 64))))
    with pytest.raises(
        EngineError,
        match=r"does not take a batch of input_ids 2x18, attention_mask 2x18; its profiles are input_ids 1x2 to "
        r"8x16, .*; input_ids",
    ):
        engine(cuda, loaded).run(feeds(2, 18))


def test_ids_of_another_type_are_cast(cuda: FakeCuda) -> None:
    fed = feeds(2, 5)
    outputs = engine(cuda).run({name: array.astype(np.int32) for name, array in fed.items()})
    np.testing.assert_array_equal(outputs["logits"], expected(fed))


def test_threads(cuda: FakeCuda) -> None:
    subject = engine(cuda, contexts=3, cuda_graphs=2)

    def work(seed: int) -> None:
        check(subject, feeds(1 + seed % 4, 4 + seed % 3, seed))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(work, range(200)))
    assert len(cuda.streams) <= 3


def test_everything_is_freed(cuda: FakeCuda) -> None:
    subject = engine(cuda, cuda_graphs=2)
    for _ in range(3):
        check(subject, feeds(2, 8))
    assert cuda.taken > 0
    assert cuda.graphs
    del subject
    gc.collect()
    assert cuda.leaks == {}


def test_closing_twice(cuda: FakeCuda) -> None:
    subject = engine(cuda)
    check(subject, feeds(2, 8))
    subject.close()
    subject.close()
    assert cuda.taken == 0


class TestGraphs:
    def test_a_repeated_shape_is_captured_once(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=4)
        for number in range(5):
            check(subject, feeds(2, 8, number))
        # Run once, captured in the second run, launched three times
        assert (len(cuda.graphs), cuda.launches) == (1, 3)

    def test_as_many_as_allowed_are_kept(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=2)
        for tokens in (8, 9, 10, 8, 9, 10):
            check(subject, feeds(2, tokens))
            check(subject, feeds(2, tokens))
        assert len(cuda.graphs) == 2

    def test_one_that_was_not_used_for_long_goes(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=2)
        for tokens in (20, 20, 8, 8, *[20] * 8, 9, 9):
            check(subject, feeds(2, tokens))
        for tokens, launched in ((20, 1), (9, 1), (8, 0)):
            before = cuda.launches
            check(subject, feeds(2, tokens))
            assert cuda.launches == before + launched
        assert len(cuda.graphs) == 2

    @pytest.mark.parametrize("shapes", [2, 3, 8, 9])
    def test_shapes_that_take_turns_and_are_more_than_the_graphs_do_not_displace_each_other(
        self, cuda: FakeCuda, shapes: int
    ) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=2)
        for _ in range(10):
            for tokens in range(8, 8 + shapes):
                check(subject, feeds(2, tokens))
        # Of the first two, all runs but the first two are launched; 8 is how long a graph is kept unused
        assert cuda.calls.count("cudaGraphInstantiate") == (2 if shapes <= 8 else 0)
        assert cuda.launches == (16 if shapes <= 8 else 0)

    def test_graphs_are_dropped_when_memory_moves(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=4)
        for batch, tokens in ((1, 2), (1, 2), (1, 2), (8, 64), (1, 2), (1, 2)):
            check(subject, feeds(batch, tokens))
        assert len(cuda.graphs) == 1

    def test_none_if_they_are_switched_off(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, cuda_graphs=0)
        for _ in range(3):
            check(subject, feeds(2, 8))
        assert not cuda.graphs

    def test_small_batches_have_them_by_default_and_large_ones_do_not(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, fake_engine(cuda, (profile(0, (1, 2), (64, 512)),)), contexts=1)
        # The large one first, since graphs are dropped when memory grows
        for batch in (17, 1):
            for _ in range(3):
                check(subject, feeds(batch, MOST_TOKENS_OF_A_GRAPH // 16))
        assert len(cuda.graphs) == 1

    def test_a_toolkit_with_graphs_of_its_own(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, fake_engine(cuda, captures_graphs=True), cuda_graphs=4)
        for _ in range(3):
            check(subject, feeds(2, 8))
        assert not cuda.graphs

    def test_graphs_share_the_memory_for_activations(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=4)
        for tokens in (8, 9):
            for _ in range(2):
                check(subject, feeds(2, tokens))
        assert len(cuda.graphs) == 2
        # One for each tensor, and one for the activations of three contexts
        on_device = [memory for memory in cuda.memory.values() if memory.device is not None]
        assert len(on_device) == len((*INPUTS, OUTPUT)) + 1

    def test_a_failed_capture_does_not_change_the_answers(
        self, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
    ) -> None:
        cuda.captures_fail = True
        subject = engine(cuda, contexts=1, cuda_graphs=4)
        with caplog.at_level(logging.WARNING, logger="distilforge"):
            for _ in range(4):
                check(subject, feeds(2, 8))
        assert caplog.text.count("there will be no more CUDA graphs") == 1

    def test_without_a_context_for_a_graph_batches_run_in_the_first_one(
        self, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
    ) -> None:
        subject = engine(cuda, contexts=1, cuda_graphs=4)
        check(subject, feeds(2, 8))
        cuda.fails = lambda function, number: function == "createContext"
        with caplog.at_level(logging.WARNING, logger="distilforge"):
            for tokens in (8, 9, 8, 9):
                check(subject, feeds(2, tokens))
        assert caplog.text.count("there will be no more CUDA graphs, since a context for one failed") == 1
        assert not cuda.graphs


class TestFailures:
    def test_the_lane_is_freed_when_memory_runs_out(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, fake_engine(cuda, (profile(0, (1, 2), (8, 640)),)), contexts=1)
        check(subject, feeds(1, 8))
        cuda.most = cuda.taken + 100
        with pytest.raises(EngineError, match="MemoryAllocation"):
            subject.run(feeds(8, 640))
        assert cuda.taken == 0
        check(subject, feeds(1, 8))

    def test_a_run_waits_where_the_device_has_no_room_for_one_more_at_once(self, cuda: FakeCuda) -> None:
        subject = engine(cuda, contexts=2)
        check(subject, feeds(2, 8))
        cuda.most = cuda.taken
        with ThreadPoolExecutor(max_workers=1) as threads:
            with subject._lanes.borrow():
                second = threads.submit(check, subject, feeds(2, 8))
                # A lane begins with its stream, and gives it back where there is no room for it
                while cuda.calls.count("cudaStreamDestroy") == 0:
                    time.sleep(0.01)
                assert not second.done()
            second.result(timeout=30)

    def test_a_context_that_refuses(self, cuda: FakeCuda) -> None:
        loaded = fake_engine(cuda)
        broken = LoadedEngine(
            name=loaded.name,
            inputs=loaded.inputs,
            outputs=loaded.outputs,
            dtypes=loaded.dtypes,
            shapes=loaded.shapes,
            # Larger than its context accepts
            profiles=(profile(0, (1, 2), (8, 99)),),
            scratch_bytes=loaded.scratch_bytes,
            new_context=loaded.new_context,
            captures_graphs=False,
            complaints=lambda: "tokens 80 exceed 64",
        )
        with pytest.raises(EngineError, match=r"A toolkit 1\.0 failed on this batch: tokens 80 exceed 64"):
            engine(cuda, broken).run(feeds(2, 80))

    def test_nan_is_an_error(self, cuda: FakeCuda) -> None:
        subject = engine(cuda)
        fed = feeds(3, 4)
        fed["input_ids"][1, 2] = NAN_ID
        with pytest.raises(
            EngineError,
            match=r"'logits' of A toolkit 1.0 holds 1 NaN and 0 infinite of 9 values, in 1 of 3 rows",
        ):
            subject.run(fed)
        check(subject, feeds(3, 4))


@pytest.mark.parametrize(
    "function",
    [
        "cudaGetDevice",
        "cudaStreamSynchronize",
        "cudaGraphExecDestroy",
        "cudaFree",
        "cudaFreeHost",
        "cudaStreamDestroy",
    ],
)
@pytest.mark.parametrize("call", range(4))
def test_an_interrupt_while_it_is_closed_leaves_nothing(
    cuda: FakeCuda, function: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = engine(cuda, contexts=2)
    arrays = [subject.to_device(np.zeros(1000 * 8**number)) for number in range(4)]
    arrays.clear()
    for _ in range(3):
        check(subject, feeds(2, 8))
    with subject._lanes.borrow(), subject._lanes.borrow():
        pass
    assert cuda.leaks["graphs"] == 1
    assert cuda.leaks["streams"] == 2
    real = CudaPython._call
    calls: list[str] = []

    def interrupted(runtime: CudaPython, name: str, *arguments: object) -> object:
        answer = real(runtime, name, *arguments)
        calls.append(name)
        if name == function and calls.count(name) == call + 1:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(CudaPython, "_call", interrupted)
    with suppress(KeyboardInterrupt):
        subject.close()
    assert calls.count(function) > 0
    assert cuda.leaks == {}
