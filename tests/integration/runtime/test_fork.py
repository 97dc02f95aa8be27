"""A process that was forked with an open session, as by gunicorn's --preload and Celery's prefork pool, ends."""

import os
import subprocess
import sys
from pathlib import Path

from distilforge import telemetry

from tests.runtime_release import published

SCRIPT = """
import os, sys
import distilforge
session = distilforge.open(sys.argv[1])
before = session(["good movie"])
child = os.fork()
if child == 0:
    # The interpreter cleans up as it does at the end of a worker
    sys.exit(3 if session(["good movie"]) == before else 4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# A child that hangs never ends, and one that works takes about a second
SECONDS = 60


def test_a_forked_process_answers_and_ends_and_the_home_stays_empty(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment.pop(telemetry.VARIABLE, None)
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(published("sequence_classification").release)],
        env={**environment, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        timeout=SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 3, ran.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
