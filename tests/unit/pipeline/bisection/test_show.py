"""A bisection as rows and sentences, on made-up numbers."""

from dataclasses import replace

from pipeline.bisection import show
from pipeline.bisection.result import Bisection, Module


def module(index: int, **changes: object) -> Module:
    plain = Module(
        name=f"m{index}", swallowed=(), own=1e-3, own_decibels=30.0, alone=10.0**-index, flips_alone=index
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


BISECTION = Bisection(
    release="sentiment 1",
    variant="onnxruntime-cpu:int8",
    examples=8,
    tokens=100,
    decisions=8,
    noise=0.02,
    flips=1,
    metric_name="accuracy",
    float_metric=0.75,
    metric=0.5,
    modules=tuple(module(index) for index in range(20)),
    exclude=("m0", "m1"),
    excluded_noise=0.001,
    excluded_flips=0,
    not_compared=(),
)


def test_the_costliest_have_a_row_each_and_the_rest_one() -> None:
    rows = list(show.rows(BISECTION))
    assert len(rows) == show.MOST_ROWS + 1
    assert {len(row) for row in rows} == {len(show.COLUMNS)}
    assert rows[0] == ("m0", "30.0", "1.00e+00", "0", "", "")
    assert rows[-1][:3] == ("and 5 more", "", "1.11e-15")
    assert len(list(show.rows(replace(BISECTION, modules=BISECTION.modules[:3])))) == 3


def test_a_row_names_swallowed_modules_and_says_exact() -> None:
    first = module(0, swallowed=("lin1", "lin2"), own_decibels=None, restored=0.5, flips_restored=2)
    (row,) = show.rows(replace(BISECTION, modules=(first,)))
    assert row == ("m0 (with lin1, lin2)", "exact", "1.00e+00", "0", "5.00e-01", "2")


def test_the_summary_ends_with_a_line_for_a_recipe() -> None:
    whole, metric, excluded, line = show.summary(BISECTION)
    assert whole == (
        "sentiment 1, onnxruntime-cpu:int8: noise 2.00e-02 of the outputs' varying energy, 1 of 8 decisions flipped, "
        "over 8 texts (100 tokens)"
    )
    assert metric == "accuracy: 0.7500 in float, 0.5000 in the variant"
    assert "leaves noise 1.00e-03 and 0 flipped" in excluded
    assert line == 'exclude = ["m0", "m1"]'


def test_the_summary_without_labels_or_anything_to_exclude() -> None:
    spread = replace(BISECTION, metric=None, exclude=(), not_compared=("m3", "m4"))
    _, not_compared, nothing = show.summary(spread)
    assert not_compared == "counted to the modules after them: m3, m4"
    assert "nothing to exclude" in nothing


class Messages:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def started(self, stage: str, doing: str) -> None:
        self.texts.append(f"{stage}: {doing}")

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        raise NotImplementedError

    def note(self, text: str) -> None:
        raise NotImplementedError


def test_progress_is_reported_at_the_start_and_each_quarter() -> None:
    messages = Messages()
    progress = show.progress_messages(messages)
    progress("joining both graphs", 0, 1)
    for done in range(1, 101):
        progress("trying", done, 100)
    assert messages.texts == [
        "bisect: joining both graphs",
        *(f"bisect: trying, {done} of 100 runs" for done in (1, 25, 50, 75, 100)),
    ]
