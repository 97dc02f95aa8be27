"""The garbage collector, paused and taken up again."""

import gc

import pytest

from pipeline.graph import collector


def test_it_is_off_inside_and_on_afterwards() -> None:
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="planted"), collector.paused():
        raise ValueError("planted")
    assert gc.isenabled()
