"""The arguments of `run`."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from distilforge.bulk import run
from distilforge.bulk.command import call_options, columns
from distilforge.bulk.options import RunOptions
from distilforge.bulk.progress import Meter, Progress
from distilforge.errors import InputError


def test_values_are_json_or_text() -> None:
    given = ["top_k=3", "truncation=truncate", 'ignore_labels=["O"]', "pooling=null", "a=b=c", 'quoted="3"']
    assert call_options(given) == {
        "top_k": 3,
        "truncation": "truncate",
        "ignore_labels": ["O"],
        "pooling": None,
        "a": "b=c",
        "quoted": "3",
    }
    assert columns(["text=a review", "text_pair=b"]) == {"text": "a review", "text_pair": "b"}


@pytest.mark.parametrize("value", ["truncation", "=truncate", ""])
def test_what_is_no_pair_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="--option must be NAME=VALUE") as raised:
        call_options([value])
    assert "truncation=truncate" in raised.value.hint


@pytest.mark.parametrize(("option", "read"), [("--column", columns), ("--option", call_options)])
def test_two_values_for_one_name_are_refused(
    option: str, read: Callable[[Sequence[str]], Mapping[str, object]]
) -> None:
    with pytest.raises(InputError, match=f"{option} has two values for 'a': 'b' and 'c=d'"):
        read(["a=b", "e=b", "a=c=d"])


def test_progress_counts_what_earlier_runs_did_but_not_their_time() -> None:
    reports: list[Progress] = []
    meter = Meter(1_000, 2, reports.append)
    meter.add(256, 1, 0.5)
    meter.add(256, 0, 0.75)
    first, second = reports
    assert (first.rows, first.errors, first.fraction, first.seconds_left) == (1_256, 3, 0.5, None)
    assert (second.rows, second.errors, second.fraction) == (1_512, 3, 0.75)
    assert second.seconds_left is not None
    assert second.rows_per_second > 0


def test_progress_says_how_long_it_takes() -> None:
    progress = Progress(rows=12_345, errors=3, rows_per_second=1234.4, fraction=0.5, seconds_left=3_725.2)
    assert str(progress) == " 50%  12,345 rows, 3 of them errors, 1,234 a second, 1:02:05 left"


@pytest.mark.parametrize(
    ("given", "cores", "on_gpu", "expected"),
    [
        ({}, 8, False, 8),
        ({"threads": 3}, 8, False, 2),
        ({"threads": 16}, 8, False, 1),
        ({}, 16, True, 4),
        ({}, 2, True, 2),
        ({"workers": 9}, 16, True, 9),
        ({"ray": True}, 64, True, 64),
    ],
)
def test_the_number_of_workers(given: dict[str, int], cores: int, on_gpu: bool, expected: int) -> None:
    options = RunOptions(input="a.jsonl", output="b.jsonl", **given)  # type: ignore[arg-type]
    assert run._workers(options, cores, on_gpu=on_gpu) == expected
