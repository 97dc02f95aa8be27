"""How far something is: over and over on a terminal, now and then in a log."""

import io
import sys

import pytest
from distilforge import status_line
from distilforge.status_line import StatusLine, clock


class Stream(io.StringIO):
    """A standard error that is a terminal or a log."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [100.0]
    monkeypatch.setattr(status_line.time, "monotonic", lambda: seconds[0])
    return seconds


def shown(stream: Stream, now: list[float], times: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    line = StatusLine()
    start = now[0]
    for after in times:
        now[0] = start + after
        line.show(f"after {after:g}")
    line.clear()
    return stream.getvalue()


def test_a_terminal_has_one_line(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Stream(terminal=True), now, (0.0, 0.1, 0.3), monkeypatch)
    assert text == "\r\x1b[Kafter 0\r\x1b[Kafter 0.3\r\x1b[K"


def test_a_line_is_not_wider_than_the_terminal(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(terminal=True)
    monkeypatch.setattr(sys, "stderr", stream)
    StatusLine().show("x" * 200)
    assert stream.getvalue() == "\r\x1b[K" + "x" * 79


def test_a_log_has_a_line_every_half_minute(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Stream(terminal=False), now, (1.0, 29.0, 31.0, 60.0, 62.0), monkeypatch)
    assert text == "after 31\nafter 62\n"


def test_nothing_is_written_without_a_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    line = StatusLine()
    line.show("something")
    line.clear()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3_661, "1:01:01"), (360_000, "100:00:00")]
)
def test_seconds_as_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
