"""How many threads and streams a compiled model gets."""

import pytest
from distilforge.openvino.streams import MOST_STREAMS, Streams


@pytest.mark.parametrize(
    ("threads", "cores", "count", "total"),
    [
        (None, 64, 1, 0),
        (1, 2, 2, 2),
        (2, 2, 1, 2),
        (4, 2, 1, 4),
        (3, 8, 2, 6),
        (1, 64, MOST_STREAMS, MOST_STREAMS),
    ],
)
def test_each_stream_has_the_threads_of_one_run(
    threads: int | None, cores: int, count: int, total: int
) -> None:
    streams = Streams.of(threads, cores)
    assert (streams.count, streams.threads) == (count, total)
    assert streams.properties()["NUM_STREAMS"] == str(count)
    assert streams.properties()["INFERENCE_NUM_THREADS"] == str(total)
