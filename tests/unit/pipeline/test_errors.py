"""Exit codes: every error class of every room has the one that it means."""

import errno
import os

import pytest
from distilforge.errors import InputError, ReleaseError, UnavailableError

from model_src.errors import CheckpointError, ConfigurationError, UnavailableAttentionError
from pipeline.errors import (
    EXIT_CODES,
    WORST_FIRST,
    ContractError,
    MissingError,
    OptionError,
    PipelineError,
    StageError,
    UsageError,
    brief,
    exit_code,
    failed,
    worst,
)
from validation.errors import ArtifactError, DataError, GatesError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (OptionError("x"), 2),
        (InputError("x"), 2),
        (DataError("x"), 2),
        (GatesError("x"), 2),
        (MissingError("x"), 3),
        (UnavailableError("x"), 3),
        (UnavailableAttentionError("x"), 3),
        (CheckpointError("x"), 4),
        (ConfigurationError("x"), 4),
        (ReleaseError("x"), 4),
        (StageError("export", "x"), 5),
        (ArtifactError("x"), 5),
        (PipelineError("x"), 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_trouble_with_the_disk_is_put_in_words(number: int) -> None:
    error = failed("compile", OSError(number, "said the system", "model.onnx"))
    assert error.stage == "compile"
    assert "model.onnx" in error.message
    assert "--artifacts" in error.hint


def test_any_other_failure_names_the_stage_and_the_cause() -> None:
    assert failed("export", RuntimeError("no such operator")).message == (
        "stage export failed: RuntimeError: no such operator"
    )


@pytest.mark.parametrize(
    ("codes", "code"),
    [((), 0), ((6,), 6), ((6, 2), 2), ((2, 3, 6), 3), ((3, 4), 4), ((6, 4, 5, 2), 5), ((0, 6, 0), 6)],
)
def test_the_worst_of_several_codes(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) == code


def test_every_code_has_a_place_in_the_order() -> None:
    assert set(WORST_FIRST) == {code for _, code in EXIT_CODES}


def test_a_table_has_a_few_words() -> None:
    assert brief(StageError("export", "a long story")) == "stage export failed"
    assert brief(UsageError("there is no recipe x", hint="write it")) == "there is no recipe x"
    assert brief(ReleaseError("it is damaged", hint="build it")) == "it is damaged"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_file_that_this_user_may_not_use_is_named_with_a_hint(number: int) -> None:
    cause = OSError(number, os.strerror(number), "artifacts/.work/publish/demo.lock")
    told = str(failed("publish", cause))
    assert "publish/demo.lock" in told
    assert "--artifacts" in told
    assert "--verbose" not in told


def test_an_option_has_its_own_name_or_another_one_and_values_stay_as_they_are() -> None:
    error = OptionError(
        "{option} must be {known}, found {found}", hint="leave {option} out", known=1, found="{x}"
    )
    assert str(error) == "option must be 1, found {x}\n  hint: leave option out"
    assert str(error.called({"option": "--flag"})) == "--flag must be 1, found {x}\n  hint: leave --flag out"
    assert str(error.called({"found": "--found"})) == str(error)


def test_a_reason_that_every_layer_has_is_not_repeated_for_each() -> None:
    error = ContractError("one", 0, 6, [f"layer.{index}: too wide" for index in range(6)])
    assert error.message.endswith("layer.0: too wide; layer.1: too wide; layer.2: too wide; and 3 more")
    assert len(error.refusals) == 6
    assert error.hinting("give another file").message == error.message
    few = ContractError("one", 0, 3, ["a", "b", "b", "c"], stage="quantize")
    assert few.message.startswith("stage quantize failed")
    assert few.message.endswith("a; b; c")


def test_only_the_passes_that_a_refusal_asks_for_are_the_hint() -> None:
    # The name of a node is the graph's author's
    refusals = ["apply nothing before/Softmax: too wide"]
    other = ContractError("one", 0, 1, refusals).hinting("give another file")
    assert other.hint == "give another file"
    asked = ContractError("one", 0, 1, refusals, before=("first", "second", "first"))
    assert asked.hinting("give another file").hint.startswith("name first, second too: among the passes")
