"""Keys for the tests of trust, made once; a signature takes no time."""

from pathlib import Path

import pytest

from tests.signed_release import Key, sign, write_key, write_small_release


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """The publisher's key."""
    return write_key(tmp_path_factory.mktemp("publisher"))


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """The key of somebody else."""
    return write_key(tmp_path_factory.mktemp("somebody"))


@pytest.fixture
def signed(tmp_path: Path, key: Key) -> Path:
    """A small release that is signed with `key` and the order 7; a test may change it."""
    return sign(write_small_release(tmp_path / "small"), key, order=7)
