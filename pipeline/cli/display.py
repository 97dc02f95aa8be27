"""The one place that prints: results on stdout, talk and progress on stderr."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType

from distilforge.manifest import CompiledEngine, Manifest
from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pipeline.cli import compact_table, verdict_blocks
from pipeline.release import summary
from pipeline.release.summary import Told

WIDEST = 1000


class Display:
    """What a build tells its user; a terminal sees a spinner, a log sees plain lines.

    A context manager, so that the spinner is gone whatever ends the build.
    """

    def __init__(self, console: Console | None = None) -> None:
        # No markup and no emoji: brackets and colons in names and paths are only themselves
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._status: Status | None = None
        self._name = ""
        # Engines are built several at once
        self._lock = RLock()

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def named(self, name: str) -> None:
        """The next lines are about the release `name`."""
        self._name = name

    def started(self, stage: str, doing: str) -> None:
        """`stage` has work to do."""
        with self._lock:
            if self._console.is_terminal:
                self._stop()
                self._status = self._console.status(Text(f"{self._name} {stage}: {doing}"))
                self._status.start()
            else:
                self._line(f"{stage}: {doing}")

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        """`stage` is done; `reused` when an earlier build had done the work."""
        self._stop()
        self._line(
            f"{stage}: {f'nothing to do, {result} is whole' if reused else f'done in {seconds:.1f} s'}"
        )

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._line(f"  {text}")

    def verdicts(self, manifest: Manifest, *, everything: bool) -> None:
        """The checks that are not met, or `everything`, with what was observed and the limit, on stderr."""
        self._stop()
        for line in verdict_blocks.blocks(manifest.variants, _width(self._console), everything=everything):
            self._print(line)

    def error(self, text: str) -> None:
        """What went wrong, on stderr."""
        self._stop()
        self._print(f"error: {text}")

    def _line(self, text: str) -> None:
        self._print(f"{self._name} {text}" if self._name else text)

    def _print(self, text: str) -> None:
        # soft_wrap: paths and hints must survive being copied from a narrow terminal or a log
        self._console.print(text, markup=False, emoji=False, soft_wrap=True)

    def _stop(self) -> None:
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None


def result(text: str) -> None:
    """One line of a command's result, on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; where a terminal is too narrow for it, a line a cell and a gap between rows."""
    shown = list(rows)
    if _drawn(columns, shown):
        return
    wide = max(map(len, columns))
    for row in shown:
        for column, cell in zip(columns, row, strict=True):
            result(f"{column:<{wide}}  {cell}")
        result("")


def releases(told: Sequence[Told]) -> None:
    """The table over releases on stdout; where a terminal is too narrow for it, the chief columns alone."""
    if not _drawn(summary.COLUMNS, [row for release in told for row in release.rows()], whole=True):
        for line in compact_table.lines(told, _width(_stdout())):
            result(line)


def _drawn(columns: Sequence[str], shown: Sequence[Sequence[str]], *, whole: bool = False) -> bool:
    """Draw a table on stdout, if that is wide enough for its names, or for a line a row where it is to be `whole`."""
    drawn = Table()
    for column, *cells in zip(columns, *shown, strict=True):
        # A name is not cut while other cells can take more lines
        drawn.add_column(column, no_wrap=not any(" " in cell for cell in cells), overflow="fold")
    for row in shown:
        drawn.add_row(*row)
    console = _stdout()
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), drawn)
    if (needed.maximum if whole else needed.minimum) > console.width:
        return False
    console.print(drawn)
    return True


def _stdout() -> Console:
    # A pipe has no width; cutting cells there would lose what the reader asked for.
    width = None if sys.stdout.isatty() else WIDEST
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _width(console: Console) -> int:
    return console.width if console.is_terminal else WIDEST


def manifest(shown: Manifest, folder: Path) -> None:
    """What a release holds, on stdout."""
    result(f"{shown.name} {shown.version} in {folder}")
    result(f"head {shown.head}; validated: {'yes' if shown.validated else 'NO'}")
    tensors = [
        (kind, tensor.name, tensor.dtype, " x ".join(map(str, tensor.shape)))
        for kind, group in (("input", shown.inputs), ("output", shown.outputs))
        for tensor in group
    ]
    table(("", "name", "type", "shape"), tensors)
    spans = [(axis, str(span.low), str(span.usual), str(span.high)) for axis, span in shown.spans.items()]
    table(("axis", "low", "usual", "high"), spans)
    checks = [
        (
            variant.name,
            verdict.check,
            f"{verdict.observed:.4g}",
            verdict_blocks.limit(verdict),
            verdict.outcome,
        )
        for variant in shown.variants
        for verdict in verdict_blocks.ordered(variant)
    ]
    if not _drawn(("variant", "check", "observed", "limit", "outcome"), checks, whole=True):
        for line in verdict_blocks.blocks(shown.variants, _width(_stdout()), everything=True):
            result(line)
    engines = [(variant.name, variant.compiled) for variant in shown.variants if variant.compiled]
    if engines:
        table(
            ("engine", "compiler", "for", "profiles", "layers", "MB", "activations MB", "built in s"),
            [(name, *_engine(compiled)) for name, compiled in engines],
        )
    for name, compiled in engines:
        for warning in compiled.warnings:
            result(f"warning {name}: {warning}")
    for variant in shown.variants:
        for note in variant.notes:
            result(f"note {variant.name}: {note}")
    for withheld in shown.withheld:
        result(f"withheld {withheld.name}: {withheld.reason}")
    table(
        ("file", "bytes", "sha256"),
        [(name, str(entry.bytes), entry.sha256) for name, entry in shown.files.items()],
    )
    made = shown.provenance
    tools = ", ".join(f"{name} {version}" for name, version in made.tools.items())
    result(f"checkpoint {made.checkpoint_sha256}\nrecipe {made.recipe_sha256}\ngit {made.git_commit}")
    result(f"made {made.created} on {made.host}\ntools {tools}")


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
    """A table on stdout, as Markdown."""
    for row in (columns, ["---"] * len(columns), *rows):
        result(f"| {' | '.join(row)} |")
