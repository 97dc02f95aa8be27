"""What is tried again, and what is not."""

import pytest
from distilforge.errors import InputError, UnavailableError
from distilforge.remote.retries import with_retries


def failing(times: int, cause: type[Exception]) -> "tuple[list[int], object]":
    calls: list[int] = []

    def request() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise InputError("no answer") from cause()
        return "answer"

    return calls, request


@pytest.mark.parametrize("times", [0, 1, 3])
def test_an_answer_comes_in_the_end(times: int) -> None:
    _, request = failing(times, ConnectionError)
    said: list[str] = []
    waited: list[float] = []
    assert with_retries(request, said.append, pause=waited.append) == "answer"  # type: ignore[arg-type]
    assert waited == [1.0, 2.0, 4.0][:times]
    assert len(said) == times
    assert all(line.startswith("no answer; trying again in ") for line in said)


def test_no_answer_at_all_is_an_error_with_its_cause() -> None:
    calls, request = failing(9, TimeoutError)
    with pytest.raises(UnavailableError, match="no answer; tried 4 times") as raised:
        with_retries(request, lambda _: None, pause=lambda _: None)  # type: ignore[arg-type]
    assert isinstance(raised.value.__cause__, InputError)
    assert len(calls) == 4


def test_what_is_absent_or_forbidden_is_asked_once() -> None:
    for cause in (FileNotFoundError, PermissionError):
        calls, request = failing(9, cause)
        with pytest.raises(InputError, match="no answer"):
            with_retries(request, lambda _: None, pause=lambda _: None)  # type: ignore[arg-type]
        assert len(calls) == 1


def test_an_error_of_this_package_alone_is_not_the_networks() -> None:
    calls = []

    def request() -> str:
        calls.append(1)
        raise InputError("there is no such channel")

    with pytest.raises(InputError, match="no such channel"):
        with_retries(request, lambda _: None, pause=lambda _: None)
    assert len(calls) == 1
