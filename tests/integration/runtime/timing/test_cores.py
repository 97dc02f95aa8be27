"""The round trip between two real cores."""

import os

import pytest
from distilforge.timing import cores


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
)
def test_two_cores_answer_each_other_and_this_process_keeps_both() -> None:
    before = os.sched_getaffinity(0)
    trip = cores.round_trip_nanoseconds()
    assert trip is not None
    assert trip > 0
    assert os.sched_getaffinity(0) == before
