"""`python -m distilforge serve` as a process, and how it stops."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distilforge.errors import InputError
from distilforge.serve.options import ServeOptions
from distilforge.serve.server import listen

from tests.batched_session import SECONDS
from tests.runtime_release import LABELS, published
from tests.served_release import get, post

HEAD = "sequence_classification"
# So long that requests are certainly in progress when the signal comes
DELAY = 3.0


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    release = published(HEAD, LABELS[HEAD]).release
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "distilforge", "serve", str(release)),
            *("--port", "0", "--threads", "1", "--max-delay", str(DELAY)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    match = re.fullmatch(r"serving \S+ \w+, onnxruntime-cpu:fp32, at (http://127\.0\.0\.1:\d+)\n", line)
    assert match is not None, line
    return match[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_progress_are_answered_before_it_stops(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    url = url_of(process)
    assert get(f"{url}/health").status == 200
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(post, f"{url}/answer", {"inputs": ["a", "b c"]}) for _ in range(3)]
        # The one that asks is in progress too
        while "distilforge_http_requests_in_progress 4.0" not in str(get(f"{url}/metrics").body):
            assert not any(answer.done() for answer in answers)
        os.kill(process.pid, number)
        assert [answer.result(SECONDS).status for answer in answers] == [200, 200, 200]
    printed, told = process.communicate(timeout=SECONDS)
    if number == signal.SIGTERM:
        assert process.returncode == 0, told
        assert printed.startswith("stopped; 6 texts were answered in ")
    else:
        assert process.returncode == 130, told
        assert told == "interrupted; all requests in progress were answered\n"


def test_a_port_that_is_taken() -> None:
    with listen(ServeOptions(port=0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on '127.0.0.1', port {port}"):
            listen(ServeOptions(port=port))


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="cannot listen on 'no such host'"):
        listen(ServeOptions(host="no such host", port=0))


def test_the_package_of_the_extra_is_missing(tmp_path: Path) -> None:
    # A module that hides the package
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable, "-m", "distilforge", "serve", "nothing"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 3
    assert "uvicorn is not installed" in finished.stderr
    assert "pip install 'distilforge[serve]'" in finished.stderr
