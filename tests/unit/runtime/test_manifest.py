"""The manifest's reading: what may be absent or unknown, and what is refused."""

import json
import math
from collections.abc import Mapping

import pytest
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Measurement, Variant, Verdict

VERDICT: Mapping[str, object] = {
    "check": "largest error",
    "observed": 1e-6,
    "comparison": "at most",
    "limit": 1e-4,
    "unit": "absolute",
    "reason": "rounding",
}
MEASUREMENT: Mapping[str, object] = {"subject": "eager", "batch": 1, "tokens": 16, "seconds": [0.25, 0.5, 1]}


def variant(**values: object) -> Variant:
    document = {"target": "onnxruntime-cpu", "precision": "fp32", "files": ["onnx/model.onnx"], **values}
    return Variant.from_json(json.dumps(document))


def test_what_an_older_release_does_not_have_is_at_its_default() -> None:
    bare = Variant(target="onnxruntime-cpu", precision="fp32", files=("onnx/model.onnx",))
    assert variant() == bare
    assert variant(compiled=None, session=None, notes=None) == bare
    assert variant(verdicts=[VERDICT]).verdicts[0].interval is None


def test_what_a_later_version_adds_is_ignored() -> None:
    assert variant(colour="blue", verdicts=[{**VERDICT, "colour": "blue"}]) == variant(verdicts=[VERDICT])


def test_numbers_that_json_lacks_are_read() -> None:
    (verdict,) = variant(verdicts=[{**VERDICT, "observed": math.inf}]).verdicts
    assert verdict.observed == math.inf
    assert not verdict


def test_whole_numbers_are_seconds_too() -> None:
    (measurement,) = variant(measurements=[MEASUREMENT]).measurements
    assert measurement == Measurement(subject="eager", batch=1, tokens=16, seconds=(0.25, 0.5, 1.0))
    assert all(type(seconds) is float for seconds in measurement.seconds)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"verdicts": [{**VERDICT, "limit": "x"}]}, r"verdicts\[0\].limit must be a number, found 'x'"),
        ({"verdicts": [{**VERDICT, "comparison": "below"}]}, r"comparison must be 'at most' or .*'below'"),
        ({"verdicts": [{**VERDICT, "interval": [1]}]}, r"interval must be a list of 2 numbers, found \[1\]"),
        ({"measurements": [{**MEASUREMENT, "batch": 1.0}]}, r"\[0\].batch must be a whole number, found 1.0"),
        (
            {"measurements": [{**MEASUREMENT, "runs": [2, 2]}]},
            r"\[0\]: runs .* the 3 seconds, found the sum 4",
        ),
        ({"measurements": [{**MEASUREMENT, "runs": [3, 0]}]}, "runs must be at least 1 each"),
        ({"compiled": {"flavour": "x"}}, "compiled lacks the field 'version'"),
        ({"files": None}, "variant.json lacks the field 'files'"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ReleaseError, match=message) as caught:
        variant(**values)
    assert caught.value.message.startswith("variant.json")
    assert caught.value.hint == "publish or copy the release again"


def test_a_newer_schema_is_told_before_any_field() -> None:
    with pytest.raises(ReleaseError, match="has schema 2; this distilforge reads schemas up to 1") as caught:
        Manifest.from_json('{"schema": 2, "name": 3}')
    assert caught.value.hint == "pip install --upgrade distilforge"


def test_a_verdict_that_is_not_settled_is_not_a_failure() -> None:
    verdict = Verdict(
        check="speed", observed=0.5, comparison="at least", limit=1.0, unit="x", reason="", settled=False
    )
    assert (verdict.outcome, bool(verdict)) == ("not settled", True)
