"""Which columns the command line leaves out."""

import pytest
import typer

from bench.gpu.__main__ import _left_out
from bench.gpu.subjects import subjects


def test_the_named_columns_are_left_out_or_are_the_only_ones() -> None:
    assert _left_out(("tensorrt",), ()) == ("tensorrt",)
    assert set(subjects.names()) - set(_left_out((), ("pytorch-eager", "tensorrt"))) == {
        "pytorch-eager",
        "tensorrt",
    }


def test_not_both() -> None:
    with pytest.raises(typer.BadParameter, match="leave out --without"):
        _left_out(("tensorrt",), ("pytorch-eager",))
