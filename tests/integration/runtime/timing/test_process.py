"""Subjects as processes of their own: they answer when asked, are stopped otherwise, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from distilforge.errors import TimingError
from distilforge.timing.process import CAN_STOP, Worker
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from tests.timing_subjects import DEADLY, OPENER, REFUSED, sleeper

SHAPE = Shape(batch=2, tokens=8)
ROOT = Path(__file__).parents[4]
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="process states are read from /proc")


def state(pid: int) -> str:
    """The state in /proc: R, S, T (stopped) or Z; empty if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true within five seconds, since signals arrive a little later than they are sent."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases may be timed in a folder that somebody else wrote."""
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    with Worker(sleeper("one", 0.002, tmp_path / "log")) as worker:
        assert worker.run(SHAPE, settle=False, warm_ups=0, runs=1).seconds


def test_a_worker_answers_with_the_seconds_of_each_run_and_facts(tmp_path: Path) -> None:
    with Worker(sleeper("one", 0.002, tmp_path / "log")) as worker:
        reply = worker.run(SHAPE, settle=False, warm_ups=2, runs=3)
    assert len(reply.seconds) == 3
    # A sleep is never shorter than asked for
    assert min(reply.seconds) >= 0.002
    assert reply.facts == {"runs": 5}
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == ["one 2x8"] * 5


def test_a_shape_that_is_refused_costs_that_shape_alone(tmp_path: Path) -> None:
    with Worker(sleeper("one", 0.0, tmp_path / "log")) as worker:
        refused = worker.run(Shape(batch=1, tokens=REFUSED), settle=True, warm_ups=0, runs=1)
        timed = worker.run(SHAPE, settle=True, warm_ups=0, runs=1)
    assert refused.refusal == "ValueError: 13 tokens bring bad luck"
    assert refused.seconds == ()
    assert timed.refusal == ""
    assert len(timed.seconds) == 1


def test_a_worker_that_dies_says_its_last_line(tmp_path: Path) -> None:
    with Worker(sleeper("one", 0.0, tmp_path / "log")) as worker:
        assert worker.is_alive
        with pytest.raises(TimingError, match="the process of one ended with exit code 3: a last word"):
            worker.run(Shape(batch=1, tokens=DEADLY), settle=False, warm_ups=0, runs=1)
        assert not worker.is_alive
        with pytest.raises(TimingError, match="a last word"):
            worker.run(SHAPE, settle=False, warm_ups=0, runs=1)


@linux
def test_a_worker_that_the_system_kills_has_a_hint(tmp_path: Path) -> None:
    with Worker(sleeper("one", 0.0, tmp_path / "log")) as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(TimingError, match=r"ended with exit code -9: .*\n  hint: .*lack of memory"):
            worker.run(SHAPE, settle=False, warm_ups=0, runs=1)


def test_a_subject_that_does_not_open_says_why() -> None:
    with pytest.raises(TimingError, match=r"the process of one ended with exit code 1: .*unexpected keyword"):
        Worker(Subject(name="one", opener=OPENER, arguments={"colour": "blue"}))


@linux
@pytest.mark.skipif(not CAN_STOP, reason="this system cannot stop processes")
def test_all_are_stopped_but_the_one_that_runs(tmp_path: Path) -> None:
    rows = [sleeper(name, 0.3, tmp_path / name) for name in ("one", "two")]
    with Worker(rows[0]) as one, Worker(rows[1]) as two:
        assert wait_for(lambda: state(one.pid) == state(two.pid) == "T")
        watcher = subprocess.Popen(
            [sys.executable, "-c", _WATCHER, str(one.pid), str(two.pid)], stdout=subprocess.PIPE, text=True
        )
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "ready\n"
        one.run(SHAPE, settle=False, warm_ups=0, runs=2)
        assert wait_for(lambda: state(one.pid) == "T")
        watcher.kill()
        states = watcher.communicate()[0].split()
    # The one slept in its runs, with the other stopped all the while
    assert "ST" in states
    assert {both[1] for both in states} == {"T"}


_WATCHER = """
import sys, time
from pathlib import Path
print("ready", flush=True)
while True:
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in sys.argv[1:]]
    print("".join(states), flush=True)
    time.sleep(0.02)
"""


@linux
def test_a_parent_that_is_killed_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = (
        "import time\nfrom pathlib import Path\n"
        "from distilforge.timing.process import Worker\nfrom tests.timing_subjects import sleeper\n"
        f"worker = Worker(sleeper('one', 0.0, Path({str(tmp_path / 'log')!r})))\n"
        "print(worker.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert state(child)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    # Its new parent may not have reaped it yet
    assert wait_for(lambda: state(child) in ("", "Z"))
