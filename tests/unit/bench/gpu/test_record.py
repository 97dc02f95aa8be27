"""The JSON of a report on a GPU, on made-up samples."""

import json

from bench.gpu import record
from bench.gpu.report import EAGER
from tests.unit.bench.gpu.reports import ROUNDS, report


def test_every_sample_is_in_the_json() -> None:
    values = json.loads(record.to_json(report()))
    assert len(values["samples"]) == 9
    assert all(len(sample["seconds_by_turn"]) == ROUNDS for sample in values["samples"])
    assert values["memory_bytes"][0] == {
        "subject": EAGER,
        "shape": "1x128",
        "device": 300_000_000,
        "allocated": 150_000_000,
    }
    assert [limit["met"] for limit in values["wanted"]] == [True, True]
    assert values["ratios"][0]["opponent"] == EAGER
