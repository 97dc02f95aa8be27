"""Numbers as text: a number beside its limit, and percentages."""

import pytest

from validation.reports.numbers import apart, percent


@pytest.mark.parametrize(
    ("observed", "limit", "texts"),
    [
        (0.25, 0.01, ("0.25", "0.01")),
        (0.01, 0.01, ("0.01", "0.01")),
        (0.0100004, 0.01, ("0.0100004", "0.01")),
        (0.97998, 0.98, ("0.97998", "0.98")),
        (0.99999, 0.999999, ("0.99999", "0.999999")),
        (0.5, 0.99999, ("0.5", "0.99999")),
    ],
)
def test_a_number_beside_its_limit_looks_equal_only_where_it_is(
    observed: float, limit: float, texts: tuple[str, str]
) -> None:
    assert apart(observed, limit, digits=4) == texts


@pytest.mark.parametrize(
    ("share", "text"), [(0.95, "95%"), (0.999, "99.9%"), (0.07, "7%"), (0.9999999, "99.99999%")]
)
def test_a_share_in_percent_is_not_rounded(share: float, text: str) -> None:
    assert percent(share) == text
