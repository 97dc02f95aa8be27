"""The table over releases on a terminal of 80 columns."""

from pipeline.cli import compact_table
from pipeline.release import summary
from pipeline.release.summary import ReleaseLines, VariantLine

COLUMNS = 80
FP32 = VariantLine(
    release="punctuation",
    version="v",
    head="token_classification",
    variant="onnxruntime-cpu:fp32",
    metric="token F1",
    eager=0.5697,
    value=0.5697,
    loss=0.0,
    margin=0.01,
    eager_seconds=0.1276,
    variant_seconds=0.0746,
    speedup=2.2,
    timed=True,
    validated=True,
)
UNSETTLED = VariantLine(
    release="punctuation",
    version="v",
    head="token_classification",
    variant="onnxruntime-cpu:int8",
    metric="token F1",
    eager=0.5697,
    value=0.5643,
    loss=0.0071,
    margin=0.01,
    timed=True,
    sibling="onnxruntime-cpu:fp32",
    validated=True,
)
ENGINE = VariantLine(
    release="punctuation",
    version="v",
    head="token_classification",
    variant="tensorrt-rtx:fp16",
    ran=False,
    validated=True,
)
WITHHELD = VariantLine(
    release="punctuation",
    version="v",
    head="token_classification",
    variant="onnxruntime-cpu:int8_7bit",
    validated=True,
    withheld="it is slower than onnxruntime-cpu:fp32, 0.81 times as fast (0.79 to 0.83)",
)
TOLD = (
    ReleaseLines(name="punctuation", lines=(FP32, UNSETTLED, ENGINE, WITHHELD)),
    ReleaseLines(name="answers", outcome="not published: 2 of 31 checks failed"),
)


def test_a_row_a_variant_with_full_names() -> None:
    assert list(compact_table.lines(TOLD, COLUMNS)) == [
        "                                eager ->    loss            x",
        "  variant                        variant   below        eager  verdict",
        "punctuation: token_classification, token F1",
        "  onnxruntime-cpu:fp32  0.5697 -> 0.5697  0.0000         2.20  passed",
        "  onnxruntime-cpu:int8  0.5697 -> 0.5643  0.0071  not settled  passed",
        "  tensorrt-rtx:fp16                    -       -            -  graph passed, not",
        "                                                               run",
        "  onnxruntime-cpu:int8_7bit  withheld: it is slower than onnxruntime-cpu:fp32,",
        "      0.81 times as fast (0.79 to 0.83)",
        "answers: not published: 2 of 31 checks failed",
        "every column: distilforge summary RELEASE... --markdown",
    ]


def test_releases_without_variants_need_no_columns() -> None:
    told = [
        ReleaseLines(name="a", outcome="stage export failed"),
        ReleaseLines(name="b", outcome="export done"),
    ]
    assert list(compact_table.lines(told, COLUMNS)) == ["a: stage export failed", "b: export done"]


def test_every_row_has_every_column() -> None:
    rows = [row for release in TOLD for row in release.rows()]
    assert {len(row) for row in rows} == {len(summary.COLUMNS)}
    assert (rows[-1][0], rows[-1][-1]) == ("answers", "not published: 2 of 31 checks failed")


def test_a_speed_that_was_timed_and_not_settled_says_so() -> None:
    settled, unsettled, engine = (
        dict(zip(summary.COLUMNS, line.cells(), strict=True)) for line in TOLD[0].lines[:3]
    )
    assert (settled["x eager"], settled["x fp32"]) == ("2.20", "-")
    assert {unsettled[column] for column in ("ms, eager", "ms, variant", "x eager", "x fp32")} == {
        "not settled"
    }
    assert {engine[column] for column in ("ms, eager", "ms, variant", "x eager", "x fp32")} == {"-"}
