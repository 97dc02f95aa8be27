"""A plugin of pytest that prints the table, and fails where everything of a kind was skipped."""

import pytest

from tests.gpu_run.results import Result, skipped_entirely, table

_RESULTS = pytest.StashKey[list[Result]]()
_PREFIX = "Skipped: "


def pytest_addoption(parser: pytest.Parser) -> None:
    """--may-skip NAME: a file or a target of which nothing has to run."""
    parser.addoption("--may-skip", action="append", default=[], metavar="NAME")


def pytest_configure(config: pytest.Config) -> None:
    """Start without results."""
    config.stash[_RESULTS] = []
    config.pluginmanager.register(_Recorder(config))


class _Recorder:
    """Keeps the result of each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._results = config.stash[_RESULTS]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test or its fixtures say: a test that was called, or that did not get so far."""
        if report.when == "call" or report.outcome != "passed":
            reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
            self._results.append(
                Result(test=report.nodeid, outcome=report.outcome, reason=str(reason).removeprefix(_PREFIX))
            )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where everything of a kind was skipped, or nothing ran."""
    results = session.config.stash[_RESULTS]
    if not results or skipped_entirely(results, session.config.getoption("--may-skip")):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print the table, and the kinds of which nothing ran."""
    results = config.stash[_RESULTS]
    terminalreporter.section("on the GPU")
    for line in table(results):
        terminalreporter.write_line(line)
    for kind in skipped_entirely(results, config.getoption("--may-skip")):
        terminalreporter.write_line(
            f"nothing of {kind!r} ran: install what it needs, or pass --may-skip with one of its words",
            red=True,
        )
