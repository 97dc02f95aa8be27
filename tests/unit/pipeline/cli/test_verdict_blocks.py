"""Verdicts on a terminal of 80 columns: full names, what failed first, nothing cut."""

from io import StringIO

import pytest
from distilforge.manifest import Manifest, Provenance, Variant, Verdict
from rich.console import Console

from pipeline.cli import display, verdict_blocks
from pipeline.cli.display import Display
from pipeline.release import gate

COLUMNS = 80
NAME = "onnxruntime-tensorrt:int8"
LONG = "largest change of a score when padded to the full length of the span and batched with others"


def verdict(check: str, observed: float, *, settled: bool = True) -> Verdict:
    return Verdict(
        check=check,
        observed=observed,
        comparison="at most",
        limit=0.01,
        unit="score",
        reason="r",
        settled=settled,
    )


def variant(name: str, *verdicts: Verdict) -> Variant:
    target, precision = name.split(":")
    return Variant(target=target, precision=precision, files=(), verdicts=verdicts)


GOOD = variant("onnxruntime-cpu:fp32", verdict("noise", 0.0))
BAD = variant(
    NAME,
    verdict("noise", 0.0),
    verdict("speed-up [over] :100: eager", 0.5, settled=False),
    verdict(LONG, 0.25),
)


MANIFEST = Manifest(
    name="reviews",
    version="0123456789ab",
    head="features",
    labels=(),
    problem_type=None,
    inputs=(),
    outputs=(),
    spans={},
    variants=(GOOD, BAD),
    files={},
    provenance=Provenance(
        checkpoint_sha256="", recipe_sha256="", git_commit="", tools={}, host="", created=""
    ),
)


def shown(*, everything: bool) -> str:
    written = StringIO()
    console = Console(file=written, width=COLUMNS, force_terminal=True, highlight=False)
    Display(console).verdicts(MANIFEST, everything=everything)
    return written.getvalue()


def test_what_failed_is_first_and_what_is_met_is_counted() -> None:
    assert shown(everything=False).splitlines() == [
        NAME,
        "  not met      largest change of a score when padded to the full length of the",
        "               span and batched with others: 0.25, limit at most 0.01 score",
        "  not settled  speed-up [over] :100: eager: -, limit at most 0.01 score",
        "2 other checks are met; --verbose lists them",
    ]


def test_everything_is_there_on_request() -> None:
    lines = shown(everything=True).splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert [line for line in lines if not line.startswith(" ")] == [NAME, "onnxruntime-cpu:fp32"]
    assert [line.split("  ")[1] for line in lines if line.startswith(("  n", "  m"))] == [
        "not met",
        "not settled",
        "met",
        "met",
    ]


def test_one_check_that_is_met_is_one() -> None:
    one = variant(NAME, verdict("noise", 1.0), verdict("cosine", 0.0))
    assert list(verdict_blocks.blocks([one], COLUMNS, everything=False))[-1] == (
        "1 other check is met; --verbose lists it"
    )
    none = variant(NAME, verdict("noise", 1.0))
    assert list(verdict_blocks.blocks([none], COLUMNS, everything=False))[-1].startswith("  not met")


def test_tables_show_brackets_and_colons_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    display.table(("name",), [("[bold]x[/bold] :100:",)])
    assert "[bold]x[/bold] :100:" in capsys.readouterr().out


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m"


def test_escape_sequences_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    display.result(HOSTILE)
    display.table(("name",), [(f"{HOSTILE}\nnext",)])
    display.markdown(("name",), [(f"{HOSTILE}\nnext | **bold**",)])
    with display.Display() as listener:
        listener.error(HOSTILE)
        listener.note(HOSTILE)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not set("\x1b\x07\x9b") & set(text)
        assert r"\u001b]0;owned\u0007\u001b[2J\u009b31m" in text
    assert r"31m next \| \*\*bold\*\* |" in printed.out


def test_a_message_has_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    with display.Display() as listener:
        listener.error("evaluation.jsonl:100: not JSON [bold]")
    assert capsys.readouterr().err == "error: evaluation.jsonl:100: not JSON [bold]\n"


def test_a_number_just_beyond_its_limit_does_not_look_equal_to_it() -> None:
    near = verdict("noise", 0.01000004)
    assert (verdict_blocks.observed(near), verdict_blocks.limit(near)) == ("0.01000004", "at most 0.01 score")
    assert "noise is 0.01000004, must be at most 0.01 score" in gate.sentence(near)
