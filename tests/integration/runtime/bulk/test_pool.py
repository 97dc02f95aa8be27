"""Worker processes: their order, their end, and who takes over."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from distilforge.affinity import available_cores
from distilforge.bulk.pool import AHEAD, answer_in_processes
from distilforge.bulk.rows import Batch
from distilforge.bulk.slot import ATTEMPTS
from distilforge.errors import ReleaseError

from tests.bulk_workers import Echo, batch, wait_for_end


def test_answers_come_in_order_from_several_processes(tmp_path: Path) -> None:
    batches = [batch(first) for first in range(0, 40, 4)]
    answered = list(answer_in_processes(batches, Echo(marks=tmp_path), workers=2, threads=1))
    assert [entry.first for entry in answered] == list(range(0, 40, 4))
    assert os.getpid() not in {int(entry.table) for entry in answered}
    for process in {int(entry.table) for entry in answered}:
        wait_for_end(process)


def test_the_look_ahead_is_bounded(tmp_path: Path) -> None:
    source = count()
    batches = (batch(first) for first in source)
    with closing(answer_in_processes(batches, Echo(marks=tmp_path), workers=2, threads=1)) as answered:
        assert next(answered).first == 0
        assert next(source) <= AHEAD * 2 + 1


def test_a_process_that_ends_is_replaced_and_its_batch_done_again(tmp_path: Path) -> None:
    echo = Echo(marks=tmp_path, deadly=(8,), times=1)
    answered = list(
        answer_in_processes([batch(first) for first in range(0, 20, 4)], echo, workers=1, threads=1)
    )
    assert [entry.errors for entry in answered] == [0] * 5
    first, second = dict.fromkeys(entry.table for entry in answered)
    assert first != second
    assert len(list(tmp_path.iterdir())) == 1


def test_a_batch_that_ends_two_processes_becomes_error_rows(tmp_path: Path) -> None:
    echo = Echo(marks=tmp_path, deadly=(4,))
    answered = list(answer_in_processes([batch(first) for first in (0, 4, 8)], echo, workers=1, threads=1))
    assert [entry.errors for entry in answered] == [0, 4, 0]
    reason = answered[1].table.decode()
    assert "the rows 4 to 7 ended 2 workers" in reason
    assert f"exit code {-signal.SIGKILL}" in reason
    assert len(list(tmp_path.iterdir())) == ATTEMPTS == 2


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts may be answered in a folder that somebody else wrote."""
    (tmp_path / "pickle.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    (answered,) = answer_in_processes([batch(0)], Echo(marks=tmp_path), workers=1, threads=1)
    assert answered.errors == 0


def test_a_release_that_does_not_open_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"the release is damaged\n  hint: publish it again"):
        list(answer_in_processes([batch(0)], Echo(marks=tmp_path, damaged=True), workers=2, threads=1))


def test_an_input_that_fails_leaves_nothing_running(tmp_path: Path) -> None:
    def batches() -> Iterator[Batch]:
        yield from (batch(first) for first in range(0, 40, 4))
        raise OSError("the disk is gone")

    answered = answer_in_processes(batches(), Echo(marks=tmp_path), workers=2, threads=1)
    processes = {int(next(answered).table) for _ in range(3)}
    with pytest.raises(OSError, match="the disk is gone"):
        list(answered)
    for process in processes:
        wait_for_end(process)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux: it reads a process's cores")
def test_every_worker_has_cores_of_its_own(tmp_path: Path) -> None:
    cores = available_cores()
    batches = (batch(first) for first in count(step=4))
    with closing(
        answer_in_processes(batches, Echo(marks=tmp_path), workers=len(cores), threads=1)
    ) as answered:
        processes: set[int] = set()
        while len(processes) < len(cores):
            processes.add(int(next(answered).table))
        owned = [os.sched_getaffinity(process) for process in processes]
    assert sorted(owned, key=min) == [{core} for core in cores]
