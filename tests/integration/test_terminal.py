"""Tables on a real terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import COMMAND, Release


def on_terminal(columns: int, *arguments: str) -> str:
    """The output of `distilforge` with `arguments` on a terminal with `columns` columns, without colours."""
    reading_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    for name in ("COLUMNS", "FORCE_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen([COMMAND, *arguments], stdout=terminal, env=environment):
        os.close(terminal)
        written = b""
        try:
            while chunk := os.read(reading_end, 65536):
                written += chunk
        except OSError:  # Linux raises it once the other end is closed
            pass
    os.close(reading_end)
    return re.sub(r"\x1b\[[0-9;]*m", "", written.decode("utf-8")).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80])
def test_a_table_that_is_too_wide_has_one_line_for_each_cell(columns: int) -> None:
    printed = on_terminal(columns, "list", "passes")
    assert "pass          integer_matmul\nmust match    1 in all, all that look like it\n" in printed
    assert "after         first_token, flatten_tokens, integer_matmul, constants\n" in printed
    assert "…" not in printed
    assert "│" not in printed


def test_a_table_that_fits_is_drawn() -> None:
    columns = 300
    lines = on_terminal(columns, "list", "passes").splitlines()
    assert any("│ integer_matmul      │ 1 in all" in line for line in lines)
    assert max(map(len, lines)) <= columns


def test_inspect_has_a_block_for_each_variant_if_a_table_would_cut_names(
    release_of: Callable[[str], Release],
) -> None:
    printed = on_terminal(80, "inspect", str(release_of("sequence_classification").folder))
    assert "\nonnxruntime-cpu:fp32\n" in printed
    assert "\n  met          non-finite outputs: 0, limit at most 0 values\n" in printed
    assert "…" not in printed


def test_several_builds_end_with_a_line_for_each_that_failed(tmp_path: Path) -> None:
    printed = on_terminal(80, "build", "one.toml", "two.toml", "--artifacts", str(tmp_path))
    assert printed == "one: there is no recipe one.toml\ntwo: there is no recipe two.toml\n"
