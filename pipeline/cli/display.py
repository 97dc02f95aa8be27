"""The one place that prints: results on stdout, messages and progress on stderr."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType

from distilforge.manifest import CompiledEngine, Manifest
from distilforge.printable import one_line, printable
from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pipeline.cli import compact_table, streams, verdict_blocks
from pipeline.release import markdown as markdown_text
from pipeline.release import summary
from pipeline.release.summary import ReleaseLines

WIDEST = 1000


class Display:
    """Shows the messages of a command on stderr: with a spinner on a terminal, as plain lines in a log.

    It is a context manager, so that the spinner ends with the command.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or streams.MessageConsole()
        self._status: Status | None = None
        self._name = ""
        # Several engines are built at once, each in a thread
        self._lock = RLock()

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def named(self, name: str) -> None:
        """Begin the next lines with the release `name`."""
        self._name = name

    def started(self, stage: str, doing: str) -> None:
        """Show that `stage` has begun."""
        with self._lock:
            if self._console.is_terminal:
                self._stop()
                self._status = self._console.status(Text(one_line(f"{self._name} {stage}: {doing}")))
                self._status.start()
            else:
                self._line(f"{stage}: {doing}")

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        """Show that `stage` is done; `reused` says that an earlier build had done the work."""
        self._stop()
        self._line(
            f"{stage}: {f'reused from an earlier build ({result})' if reused else f'done in {seconds:.1f} s'}"
        )

    def note(self, text: str) -> None:
        """Show a remark."""
        self._line(f"  {text}")

    def verdicts(self, manifest: Manifest, *, everything: bool) -> None:
        """Show the checks that are not met, or `everything`, each with its number and its limit."""
        self._stop()
        for line in verdict_blocks.blocks(manifest.variants, _width(self._console), everything=everything):
            self._print(line)

    def error(self, text: str) -> None:
        """Show what went wrong."""
        self._stop()
        self._print(f"error: {text}")

    def _line(self, text: str) -> None:
        self._print(f"{self._name} {text}" if self._name else text)

    def _print(self, text: str) -> None:
        # soft_wrap, so that paths and hints can be copied from a narrow terminal or a log
        self._console.print(printable(text), markup=False, emoji=False, soft_wrap=True)

    def _stop(self) -> None:
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None


def result(text: str) -> None:
    """Print a command's result on stdout, with escapes for control characters; streams.OutputError if that fails."""
    streams.write(f"{printable(text)}\n")


def _result_line(text: str) -> None:
    # A newline in a name or a note must not begin a line that looks like the command's own
    result(one_line(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, or one line for each cell on a terminal that is too narrow for the table."""
    all_rows = [[one_line(cell) for cell in row] for row in rows]
    if _draw(columns, all_rows):
        return
    width = max(map(len, columns))
    for row in all_rows:
        for column, cell in zip(columns, row, strict=True):
            result(f"{column:<{width}}  {cell}")
        result("")


def releases(entries: Sequence[ReleaseLines]) -> None:
    """Print the table over releases on stdout, or its main columns on a terminal that is too narrow for it."""
    if not _draw(summary.COLUMNS, [row for entry in entries for row in entry.rows()], unbroken=True):
        for line in compact_table.lines(entries, _width(_stdout())):
            result(line)


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]], *, unbroken: bool = False) -> bool:
    """Draw a table on stdout and return whether it is wide enough: for all names, or for `unbroken` a row."""
    drawing = Table()
    for column, *cells in zip(columns, *rows, strict=True):
        # A name stays on one line, and cells with spaces are broken into more lines
        drawing.add_column(column, no_wrap=not any(" " in cell for cell in cells), overflow="fold")
    for row in rows:
        drawing.add_row(*map(one_line, row))
    console = _stdout()
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), drawing)
    if (needed.maximum if unbroken else needed.minimum) > console.width:
        return False
    try:
        with console.capture() as text:
            console.print(drawing)
    # Rich flushes the stream behind it too
    except OSError as cause:
        raise streams.refused(cause) from cause
    streams.write(text.get())
    return True


def _stdout() -> Console:
    # A pipe has no width, and cells that are cut there would be lost
    width = None if sys.stdout.isatty() else WIDEST
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _width(console: Console) -> int:
    return console.width if console.is_terminal else WIDEST


def manifest(release: Manifest, folder: Path) -> None:
    """Print what a release holds on stdout."""
    _result_line(f"{release.name} {release.version} in {folder}")
    _result_line(f"head {release.head}; validated: {'yes' if release.validated else 'NO'}")
    tensors = [
        (kind, tensor.name, tensor.dtype, " x ".join(map(str, tensor.shape)))
        for kind, group in (("input", release.inputs), ("output", release.outputs))
        for tensor in group
    ]
    table(("", "name", "type", "shape"), tensors)
    spans = [(axis, str(span.low), str(span.usual), str(span.high)) for axis, span in release.spans.items()]
    table(("axis", "low", "usual", "high"), spans)
    checks = [
        (
            variant.name,
            verdict.check,
            verdict_blocks.observed(verdict),
            verdict_blocks.limit(verdict),
            verdict.outcome,
        )
        for variant in release.variants
        for verdict in verdict_blocks.ordered(variant)
    ]
    if not _draw(("variant", "check", "observed", "limit", "outcome"), checks, unbroken=True):
        for line in verdict_blocks.blocks(release.variants, _width(_stdout()), everything=True):
            result(line)
    engines = [(variant.name, variant.compiled) for variant in release.variants if variant.compiled]
    if engines:
        table(
            ("engine", "compiler", "for", "profiles", "layers", "MB", "activations MB", "built in s"),
            [(name, *_engine(compiled)) for name, compiled in engines],
        )
    for name, compiled in engines:
        for warning in compiled.warnings:
            _result_line(f"warning {name}: {warning}")
    for variant in release.variants:
        for note in variant.notes:
            _result_line(f"note {variant.name}: {note}")
    for withheld in release.withheld:
        _result_line(f"withheld {withheld.name}: {withheld.reason}")
    table(
        ("file", "bytes", "sha256"),
        [(name, str(entry.bytes), entry.sha256) for name, entry in release.files.items()],
    )
    provenance = release.provenance
    tools = ", ".join(f"{name} {version}" for name, version in provenance.tools.items())
    _result_line(f"checkpoint {provenance.checkpoint_sha256}")
    _result_line(f"recipe {provenance.recipe_sha256}")
    for purpose, sha256 in provenance.data_sha256.items():
        _result_line(f"{purpose} data {sha256}")
    _result_line(f"git {provenance.git_commit}")
    _result_line(f"made {provenance.created} on {provenance.host}")
    _result_line(f"tools {tools}")


def _engine(compiled: CompiledEngine) -> tuple[str, ...]:
    profiles = (
        ", ".join(f"{axis} {span.low}..{span.usual}..{span.high}" for axis, span in profile.items())
        for profile in compiled.profiles
    )
    activations = compiled.activation_bytes
    return (
        f"{compiled.flavour} {compiled.version}",
        " ".join(compiled.capabilities),
        "; ".join(profiles),
        ", ".join(f"{count} {kind}" for kind, count in compiled.precisions.items()),
        f"{compiled.bytes / 1e6:.1f}",
        "-" if activations is None else f"{activations / 1e6:.1f}",
        f"{compiled.build_seconds:.1f}",
    )


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as Markdown on stdout."""
    result(f"| {' | '.join(columns)} |")
    result(f"| {' | '.join('---' for _ in columns)} |")
    for row in rows:
        result(f"| {' | '.join(map(markdown_text.escape, row))} |")
