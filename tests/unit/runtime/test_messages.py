"""Messages on a standard error that cannot be written."""

import io
import os
import subprocess
import sys

import pytest
from distilforge import messages

LOST = "from distilforge import messages; messages.write('one\\n'); messages.write('two\\n'); print('done')"


def test_a_message_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    messages.write("one\n")
    assert stream.getvalue() == "one\n"


@pytest.mark.parametrize("error", ["full", "closed", "broken"])
def test_work_continues_without_a_standard_error(error: str) -> None:
    command = {
        "full": '"$0" -c "$1" 2>/dev/full',
        "closed": '"$0" -c "$1" 2>&-',
        "broken": 'exec 3> >(exec true); wait $!; "$0" -c "$1" 2>&3',
    }[error]
    if error == "full" and not os.path.exists("/dev/full"):  # noqa: PTH110 - a device
        pytest.skip("this system has no /dev/full")
    done = subprocess.run(
        ["/bin/bash", "-c", command, sys.executable, LOST], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("done\n", 0)
