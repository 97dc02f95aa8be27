"""Reports survive JSON, refuse what JSON cannot hold, and show every verdict."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Measurement, Metric, Provenance, Span, Steadiness, Variant, Verdict

from validation.reports import figures
from validation.reports.html import write
from validation.reports.report import EAGER, Agreement, Report, Speedup, Stability, VariantReport
from validation.reports.table import short, verdict_rows

VERDICTS = (
    Verdict(
        check="non-finite outputs", observed=0, comparison="at most", limit=0, unit="values", reason="because"
    ),
    Verdict(
        check="loss of <accuracy>",
        observed=0.034,
        comparison="at most",
        limit=0.01,
        unit="accuracy",
        reason="so it is",
        interval=(0.012, 0.034),
    ),
)
REPORT = Report(
    head="sequence_classification",
    evaluation="data.jsonl",
    examples=1500,
    variants=(
        VariantReport(
            name="onnxruntime-cpu:fp32",
            metrics=(Metric(name="accuracy", eager=0.7, variant=0.67, examples=1500),),
            agreements=(
                Agreement(
                    inputs="texts", output="logits", largest=0.2, mean=1e-6, percentile_999=3e-6, values=4500
                ),
            ),
            label_agreement=0.97,
            decisions=1500,
            verdicts=VERDICTS,
            speedups=(Speedup(batch=1, tokens=16, ratio=2.0, interval=(1.9, 2.1)),),
            measurements=(
                Measurement(subject="eager", batch=1, tokens=16, seconds=(0.02, 0.021)),
                Measurement(subject="onnxruntime-cpu:fp32", batch=1, tokens=16, seconds=(0.01, 0.0105)),
            ),
        ),
    ),
    conditions={"processor": "a <fast> one"},
    notes=("Few examples.",),
)
MANIFEST = Manifest(
    name="sentiment",
    version="0123456789ab",
    head="sequence_classification",
    labels=("a", "b"),
    problem_type=None,
    inputs=(),
    outputs=(),
    spans={"batch": Span(low=1, usual=1, high=1)},
    variants=(Variant(target="onnxruntime-cpu", precision="fp32", files=("onnx/model.onnx",)),),
    files={},
    provenance=Provenance(
        checkpoint_sha256="c" * 64,
        recipe_sha256="d" * 64,
        git_commit="e" * 40,
        tools={},
        host="h",
        created="now",
    ),
)


BOTH = replace(
    REPORT,
    variants=(
        replace(REPORT.variants[0], verdicts=VERDICTS[:1]),
        replace(
            REPORT.variants[0],
            name="onnxruntime-cpu:int8",
            speedups=(
                Speedup(batch=1, tokens=16, ratio=4.0, interval=(3.9, 4.1)),
                Speedup(batch=1, tokens=16, ratio=1.99, interval=(1.8, 2.2), over="onnxruntime-cpu:fp32"),
            ),
            measurements=(
                Measurement(subject="eager", batch=1, tokens=16, seconds=(0.02, 0.021)),
                Measurement(subject="onnxruntime-cpu:int8", batch=1, tokens=16, seconds=(0.005, 0.0051)),
            ),
            stability=(Stability(way="padded", texts=32, largest=0.0123, changed=1, decisions=32),),
            notes=("Depends on its batch.",),
            withheld="not faster, by a hair",
        ),
    ),
)


class Texts(HTMLParser):
    """The words of a page, and the addresses that it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loaded: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [
            f"{tag} {name}={value}" for name, value in attrs if name == "src" or tag in ("link", "script")
        ]


def test_json_gives_the_report_back() -> None:
    assert Report.from_json(REPORT.to_json()) == REPORT
    bare = replace(REPORT.variants[0], label_agreement=None, metrics=())
    assert Report.from_json(replace(REPORT, variants=(bare,)).to_json()).variants == (bare,)


def test_what_was_added_later_may_be_absent() -> None:
    values = json.loads(REPORT.to_json())
    for key in ("stability", "notes", "withheld"):
        del values["variants"][0][key]
    del values["variants"][0]["agreements"][0]["noise"]
    del values["variants"][0]["speedups"][0]["over"]
    assert Report.from_json(json.dumps(values)) == REPORT


def test_what_is_withheld_does_not_fail_the_others() -> None:
    assert not BOTH.variants[1].passed
    assert BOTH.passed
    assert not replace(BOTH, variants=(replace(BOTH.variants[1], withheld=""),)).passed
    assert Report.from_json(BOTH.to_json()) == BOTH


def test_the_page_shows_siblings_stability_notes_and_what_is_withheld(tmp_path: Path) -> None:
    write(BOTH, MANIFEST, tmp_path)
    texts = Texts()
    texts.feed((tmp_path / "report.html").read_text())
    words = " ".join(" ".join(texts.words).split())
    for expected in (
        "all 1 checks met",
        "over onnxruntime-cpu:fp32",
        "1.99×",
        "1.80 to 2.20",
        "padded",
        "0.0123",
        "1 of 32",
        "Depends on its batch.",
        "withheld, and not in the release: not faster, by a hair.",
    ):
        assert expected in words, expected


def test_nan_is_never_written() -> None:
    broken = replace(REPORT.variants[0], label_agreement=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(REPORT, variants=(broken,)).to_json()


def test_speedups_are_those_over_a_subject_at_each_shape_and_over_all() -> None:
    def speedup(ratio: float, over: str = EAGER, batch: int | None = None) -> Speedup:
        return Speedup(batch=batch, tokens=batch and 16, ratio=ratio, interval=(ratio, ratio), over=over)

    sibling = "onnxruntime-cpu:fp32"
    result = VariantReport(
        name="onnxruntime-cpu:int8",
        speedups=(
            speedup(4),
            speedup(3, batch=1),
            speedup(5, batch=8),
            speedup(2, sibling),
            speedup(1, sibling, 1),
        ),
    )
    assert [entry.ratio for entry in result.over(EAGER)] == [3, 5]
    assert [entry.ratio for entry in result.over(sibling)] == [1]
    assert (result.overall(EAGER), result.overall(sibling)) == (speedup(4), speedup(2, sibling))
    assert result.overall("other") is None
    assert result.siblings == (sibling,)


def edited(edit: Callable[[dict[str, object]], object]) -> str:
    """The report's JSON after an edit of its only variant."""
    values = json.loads(REPORT.to_json())
    edit(values["variants"][0])
    return json.dumps(values)


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda variant: variant.pop("name"), r"variants\[0\].*name"),
        (lambda variant: variant.update(metrics=3), r"variants\[0\]\.metrics"),
        (lambda variant: variant["agreements"][0].update(values=1.5), r"agreements\[0\]\.values"),
        (
            lambda variant: variant["verdicts"][1].update(comparison="near"),
            r"verdicts\[1\]\.comparison.*near",
        ),
        (lambda variant: variant["speedups"][0].update(ratio="fast"), r"speedups\[0\]\.ratio.*fast"),
    ],
)
def test_the_field_of_a_report_that_does_not_fit_is_named(
    edit: Callable[[dict[str, object]], object], field: str
) -> None:
    with pytest.raises(ReleaseError, match=field):
        Report.from_json(edited(edit))


@pytest.mark.parametrize("text", ["", "[]", "3", '{"schema": 1', "{}"])
def test_what_is_not_a_report_is_refused(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"report\.json"):
        Report.from_json(text)


def test_the_page_says_what_was_observed_of_the_machine_and_claims_no_speed_without_a_steady_one(
    tmp_path: Path,
) -> None:
    busy = Steadiness(
        steady=False,
        reasons=("other processes took 1.2 cores",),
        rounds=12,
        apart=(3, 4),
        spread=0.07,
        others_cores=1.2,
        stolen_cores=0.5,
        interruptions=31.0,
        megahertz=(2000.0, 3100.0),
        round_trip_nanoseconds=(60.0, 240.0),
    )
    unclaimed = replace(REPORT.variants[0], speedups=())
    write(replace(REPORT, variants=(unclaimed,), timing=busy), MANIFEST, tmp_path)
    texts = Texts()
    texts.feed((tmp_path / "report.html").read_text())
    words = " ".join(" ".join(texts.words).split())
    for expected in (
        "Not settled, so that no speed is claimed: other processes took 1.2 cores.",
        "12 rounds",
        "7% of its median",
        "other processes used 1.2 cores",
        "the hypervisor took 0.5 cores",
        "interrupted 31 times a second",
        "between 2000 and 3100 MHz",
        "60 to 240 ns",
        "2 rounds are left out",
    ):
        assert expected in words, expected
    assert "2.00×" not in words


def test_control_characters_are_shown_as_text(tmp_path: Path) -> None:
    write(replace(REPORT, notes=("\x1b[2J a\u202eb",)), MANIFEST, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert r"\u001b[2J a\u202eb" in page
    assert not {"\x1b", "\u202e"} & set(page)


def test_a_variant_that_was_not_timed_says_so(tmp_path: Path) -> None:
    untimed = replace(REPORT.variants[0], speedups=(), measurements=())
    write(replace(REPORT, variants=(untimed,)), MANIFEST, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Not timed." in page
    assert page.count("<svg") == 1


def test_a_sibling_that_refused_a_shape_has_dashes_there(tmp_path: Path) -> None:
    sibling = "onnxruntime-cpu:fp32"
    both = BOTH.variants[1]
    larger = Speedup(batch=8, tokens=16, ratio=5.0, interval=(4.9, 5.1))
    samples = tuple(replace(sample, batch=8) for sample in both.measurements)
    wider = replace(both, speedups=(larger, *both.speedups), measurements=(*samples, *both.measurements))
    assert [wider.beside(speedup, sibling) for speedup in wider.over(EAGER)] == [None, both.over(sibling)[0]]
    write(replace(BOTH, variants=(BOTH.variants[0], wider)), MANIFEST, tmp_path)
    page = (tmp_path / "report.html").read_text()
    row = page[page.index("<td>8 × 16</td>") :].partition("</tr>")[0]
    assert row.count('<td class="n">-</td>') == 2
    assert "1.80 to 2.20" in page


def test_the_picture_marks_the_median_without_the_rounds_apart() -> None:
    sample = Measurement(subject=EAGER, batch=1, tokens=16, seconds=(0.01, 0.01, 0.01, 0.5, 0.5, 0.5, 0.5))
    assert f"{short(10.0)} ms" in figures.latency([sample], "some", apart=(3, 4, 5, 6))
    assert f"{short(500.0)} ms" in figures.latency([sample], "all")
    # Medians of an unsteady timing would be read as a claim
    assert f"{short(500.0)} ms" not in figures.latency([sample], "unsteady", steady=False)


def test_a_damaged_report_names_the_field() -> None:
    with pytest.raises(ReleaseError, match=r"report\.json: variants\[0\]\.decisions must be a whole number"):
        Report.from_json(REPORT.to_json().replace('"decisions": 1500', '"decisions": "many"'))


def test_a_report_passes_when_every_verdict_is_met() -> None:
    assert not REPORT.passed
    fine = replace(REPORT.variants[0], verdicts=VERDICTS[:1])
    assert replace(REPORT, variants=(fine,)).passed


def test_the_page_shows_every_verdict_and_loads_nothing(tmp_path: Path) -> None:
    write(REPORT, MANIFEST, tmp_path / "validation")
    assert Report.from_json((tmp_path / "validation" / "report.json").read_text()) == REPORT
    page = (tmp_path / "validation" / "report.html").read_text()
    texts = Texts()
    texts.feed(page)
    words = " ".join(" ".join(texts.words).split())
    for row in verdict_rows(REPORT):
        for cell in (row.mark, row.variant, row.check, row.observed, row.limit, row.headroom, row.reason):
            assert cell in words, cell
    for expected in ("1 of 2 checks not met", "Few examples.", "a <fast> one", "c" * 64, "97.000%", "2.00×"):
        assert expected in words, expected
    assert texts.loaded == []
    assert page.count("<svg") == 2
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_the_page_keeps_the_reasons_of_variants_apart(tmp_path: Path) -> None:
    (first,) = REPORT.variants
    later = replace(VERDICTS[1], reason="so it is (after 1,500 of 1,500 examples)")
    int8 = replace(
        first, name="onnxruntime-cpu:int8", verdicts=(VERDICTS[0], later), measurements=(), speedups=()
    )
    write(replace(REPORT, variants=(first, int8)), MANIFEST, tmp_path)
    texts = Texts()
    texts.feed((tmp_path / "report.html").read_text())
    words = " ".join(" ".join(texts.words).split())
    assert "loss of <accuracy> (onnxruntime-cpu:fp32) so it is." in words
    assert "loss of <accuracy> (onnxruntime-cpu:int8) so it is (after 1,500 of 1,500 examples)." in words
    assert words.count("because.") == 1, "a reason that all share is there once"
