"""The table of texts a second, of made-up times."""

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.texts.run import Throughput
from bench.texts.table import markdown
from tests.timing_subjects import measurement, steady

SHAPE = Shape(batch=100, tokens=60)


def test_texts_and_tokens_a_second_and_the_ratio_to_the_first() -> None:
    seconds = {"ours, arrival": 0.5, "theirs, arrival": 2.0}
    timing = Timing(
        measurements=tuple(
            measurement(name, SHAPE, tuple((value,) for _ in range(20))) for name, value in seconds.items()
        ),
        steadiness=steady(20),
    )
    result = Throughput(
        head="features",
        shape=SHAPE,
        tokens=2000,
        slots={"arrival": 5000, "sorted": 2100},
        names={
            "ours, arrival": ("ours", "arrival"),
            "theirs, arrival": ("theirs", "arrival"),
            "dead, sorted": ("dead", "sorted"),
        },
        timing=timing,
        omissions=(),
    )
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown(result).splitlines()[-3:]]
    assert lines == [
        ["ours", "arrival", "2.50", "200", "4000", "1.00"],
        ["theirs", "arrival", "2.50", "50", "1000", "0.25"],
        ["dead", "sorted", "1.05", "-", "-", "-"],
    ]
