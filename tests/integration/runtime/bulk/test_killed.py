"""10,000 texts, killed at five random moments: the output is that of a run that nothing disturbed."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.runtime.bulk.conftest import BAD, ROWS, command, run, write_texts
from tests.runtime_release import LABELS, published

KILLS = 5
ATTEMPTS = 12


def receipts(folder: Path) -> set[str]:
    """The names of the notes about finished parts; one that is being written, or was cut short, is none."""
    return {path.name for path in folder.glob("killed.jsonl.run/part-*.json") if is_json(path)}


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_run_says_how_to_continue(number: signal.Signals, tmp_path: Path) -> None:
    release = published("sequence_classification", LABELS["sequence_classification"]).release
    texts = write_texts(tmp_path / "texts.jsonl", ROWS)
    arguments = (release, "--input", texts, "--workers", "1", "--output", tmp_path / "killed.jsonl")
    process = subprocess.Popen(
        command(*arguments, "--save-every", "0.05"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not receipts(tmp_path):
        time.sleep(0.005)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert stderr == "interrupted; run the same command again to continue\n"
    result = json.loads(run(*arguments, "--json"))
    assert (result["rows"], result["errors"]) == (ROWS, len(BAD))
    assert result["reused"] > 0


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As by nohup, so that a closed terminal does not end a run."""
    release = published("sequence_classification", LABELS["sequence_classification"]).release
    texts = write_texts(tmp_path / "texts.jsonl", ROWS)
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    process = subprocess.Popen(
        [
            *shell,
            *command(
                release, "--input", texts, "--output", tmp_path / "killed.jsonl", "--save-every", "0.05"
            ),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not receipts(tmp_path):
        time.sleep(0.005)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr


def test_killed_at_five_random_moments(tmp_path: Path) -> None:
    release = published("sequence_classification", LABELS["sequence_classification"]).release
    texts = write_texts(tmp_path / "texts.jsonl", ROWS)
    arguments = (release, "--input", texts, "--workers", "2")
    started = time.monotonic()
    run(*arguments, "--output", tmp_path / "undisturbed.jsonl")
    seconds = time.monotonic() - started
    seed = random.SystemRandom().randrange(10**9)
    moments = random.Random(seed)
    output = tmp_path / "killed.jsonl"
    saved: list[int] = []
    # A run that was quicker than the signal has finished, and the next one begins again
    force: list[str] = []
    for attempt in range(ATTEMPTS):
        before = receipts(tmp_path)
        process = subprocess.Popen(
            command(*arguments, "--output", output, "--save-every", "0.05", *force),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Every other kill comes when something was saved, so that there is something to go on from
        while attempt % 2 and process.poll() is None and receipts(tmp_path) == before:
            time.sleep(0.005)
        time.sleep(seconds * moments.random() * (0.05 if attempt % 2 else 0.5))
        force = ["--force"]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                saved.append(len(receipts(tmp_path)))
                force = []
        if len(saved) == KILLS:
            break
    story = f"seed {seed}: saved parts after each kill {saved}"
    assert len(saved) == KILLS, story
    result = json.loads(run(*arguments, "--output", output, "--json"))
    assert (result["rows"], result["errors"]) == (ROWS, len(BAD)), story
    assert max(saved) > 0, story
    killed, undisturbed = (
        sorted(path.read_bytes().splitlines()) for path in (output, tmp_path / "undisturbed.jsonl")
    )
    assert len(killed) == ROWS, story
    assert killed == undisturbed, story
    assert sorted(path.name for path in tmp_path.glob("killed.jsonl.run/*")) == ["finished.json", "job.json"]
