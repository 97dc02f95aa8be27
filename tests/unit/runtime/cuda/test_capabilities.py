"""Which devices an engine is for."""

import pytest
from distilforge import ReleaseError
from distilforge.cuda.capabilities import check, described, runs_on


@pytest.mark.parametrize(
    ("named", "capability", "runs"),
    [
        (("8.6",), (8, 6), True),
        (("8.6",), (8, 9), False),
        (("8.6",), (8, 0), False),
        (("8.0+",), (8, 0), True),
        (("8.0+",), (12, 1), True),
        (("8.0+",), (7, 5), False),
        (("8.0", "8.6", "8.9", "12.0+"), (9, 0), False),
        (("8.0", "8.6", "8.9", "12.0+"), (12, 1), True),
        # Compared as numbers, not as text: 10.0 comes after 9.0
        (("9.0+",), (10, 0), True),
        ((), (5, 0), True),
    ],
)
def test_runs_on(named: tuple[str, ...], capability: tuple[int, int], runs: bool) -> None:
    assert runs_on(named, capability) is runs


@pytest.mark.parametrize("named", ["", "8", "8.6-", "sm_86", "8.6 +"])
def test_a_name_that_is_not_a_capability(named: str) -> None:
    with pytest.raises(ReleaseError, match="is not a compute capability"):
        check((named,))


def test_described() -> None:
    assert described(("8.6",)) == "8.6"
    assert described(("8.0+",)) == "8.0 and later"
    assert described(("8.0", "8.9", "12.0+")) == "8.0, 8.9, or 12.0 and later"
