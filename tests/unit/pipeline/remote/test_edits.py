"""What a push, a promotion, a rollback and a pruning change in an index."""

from dataclasses import replace

import pytest
from distilforge.errors import InputError
from distilforge.manifest import FileRecord
from distilforge.remote.index import LATEST, MOST_HISTORY, Channel, Index, StoredRelease, parse_index

from pipeline.remote import edits


def release(number: int, *, validated: bool = True) -> StoredRelease:
    return StoredRelease(
        name="small",
        version=f"{number:012x}",
        location=f"{number:012x}-20260101T000000Z-00000000",
        created="2026-01-01T00:00:00+00:00",
        pushed="2026-01-01T00:00:00+00:00",
        bytes=number,
        validated=validated,
        manifest=FileRecord(sha256="0" * 64, bytes=1),
    )


def index_of(*numbers: int) -> Index:
    index = Index(name="small")
    for number in numbers:
        index = edits.with_release(index, release(number))
    return index


def versions(index: Index) -> list[int]:
    return [int(stored.version, 16) for stored in index.releases]


def test_latest_follows_pushes_and_remembers() -> None:
    index = index_of(1, 2, 3)
    assert index.channels[LATEST] == Channel(version=f"{3:012x}", history=(f"{2:012x}", f"{1:012x}"))
    assert parse_index(index.to_json().encode(), "x") == index


def test_a_version_is_listed_once() -> None:
    index = edits.with_release(index_of(1, 2), release(1))
    assert versions(index) == [2, 1]
    assert index.channels[LATEST].history == (f"{2:012x}",)


def test_latest_stays_at_a_validated_release() -> None:
    index = edits.with_release(index_of(1), release(2, validated=False))
    assert versions(index) == [1, 2]
    assert index.channels[LATEST].version == f"{1:012x}"
    only = edits.with_release(Index(name="small"), release(2, validated=False))
    assert only.channels[LATEST].version == f"{2:012x}"


def test_promote_and_roll_back() -> None:
    index = edits.promoted(index_of(1, 2, 3), f"{1:012x}", "stable")
    index = edits.promoted(edits.promoted(index, f"{2:012x}", "stable"), f"{3:012x}", "stable")
    assert edits.promoted(index, f"{3:012x}", "stable") == index
    index = edits.rolled_back(index, "stable")
    assert index.channels["stable"] == Channel(version=f"{2:012x}", history=(f"{1:012x}",))
    index = edits.rolled_back(index, "stable")
    with pytest.raises(
        InputError, match="'stable' names 000000000001, and does not remember another"
    ) as raised:
        edits.rolled_back(index, "stable")
    assert "promote" in raised.value.hint


def test_a_history_is_short() -> None:
    index = index_of(*range(1, MOST_HISTORY + 5))
    assert len(index.channels[LATEST].history) == MOST_HISTORY


@pytest.mark.parametrize("name", ["", "Stable", "0123456789ab", "a/b", "a" * 64, "-a", "é"])
def test_a_channel_has_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a channel"):
        edits.promoted(index_of(1), f"{1:012x}", name)


def test_what_is_absent_is_named() -> None:
    with pytest.raises(InputError, match="does not have the version '000000000009'") as raised:
        edits.promoted(index_of(1), f"{9:012x}", "stable")
    assert f"{1:012x}" in raised.value.hint
    with pytest.raises(InputError, match="does not have the channel 'stable'") as raised:
        edits.rolled_back(index_of(1), "stable")
    assert "latest" in raised.value.hint


def test_pruning_keeps_what_channels_and_one_rollback_need() -> None:
    index = index_of(1, 2, 3, 4, 5, 6, 7)
    for number in (1, 2, 3):
        index = edits.promoted(index, f"{number:012x}", "stable")
    pruning = edits.pruned(index, 1)
    # 7 is the last; 6 is what latest was before; stable is 3, and was 2
    assert versions(pruning.index) == [2, 3, 6, 7]
    assert [stored.bytes for stored in pruning.removed] == [1, 4, 5]
    assert pruning.protected == {
        f"{2:012x}": "a rollback of stable needs it",
        f"{3:012x}": "stable names it",
        f"{6:012x}": "a rollback of latest needs it",
    }
    assert pruning.index.channels["stable"].history == (f"{2:012x}",)
    assert parse_index(pruning.index.to_json().encode(), "x") == pruning.index
    again = edits.pruned(pruning.index, 1)
    assert again.index == pruning.index
    rolled = edits.rolled_back(pruning.index, "stable")
    assert rolled.channels["stable"].version == f"{2:012x}"


def test_pruning_keeps_at_least_one() -> None:
    with pytest.raises(InputError, match="at least 1 release, found 0"):
        edits.pruned(index_of(1), 0)
    assert edits.pruned(index_of(1), 5).removed == ()


def test_too_many_channels_are_refused() -> None:
    index = index_of(1)
    full = replace(index, channels={f"c{number}": Channel(version=f"{1:012x}") for number in range(100)})
    with pytest.raises(InputError, match="at most 100 are allowed"):
        edits.promoted(full, f"{1:012x}", "stable")
