"""The choice of a profile for a batch, and memory that grows."""

import pytest
from distilforge.errors import EngineError
from distilforge.tensorrt.buffers import Buffer, grown
from distilforge.tensorrt.profiles import Profile, smallest


def profiles(*tokens: tuple[int, int]) -> tuple[Profile, ...]:
    return tuple(
        Profile(index=index, lows={"ids": (1, low)}, highs={"ids": (32, high)})
        for index, (low, high) in enumerate(tokens)
    )


@pytest.mark.parametrize(("tokens", "index"), [(8, 0), (64, 0), (65, 1), (128, 1), (129, 2), (512, 2)])
def test_buckets(tokens: int, index: int) -> None:
    assert smallest(profiles((8, 64), (65, 128), (129, 512)), {"ids": (4, tokens)}).index == index


def test_the_smallest_is_chosen_in_any_order() -> None:
    assert smallest(profiles((8, 512), (8, 64), (8, 128)), {"ids": (4, 50)}).index == 1


@pytest.mark.parametrize(
    ("shape", "highs"),
    [
        ((1, 64), (1, 64)),
        ((1, 65), (1, 128)),
        ((2, 64), (8, 64)),
        ((9, 400), (32, 512)),
        ((32, 128), (32, 128)),
    ],
)
def test_a_batch_runs_in_the_profile_of_its_number_of_texts_and_tokens(
    shape: tuple[int, int], highs: tuple[int, int]
) -> None:
    ends = [(batch, tokens) for batch in (1, 8, 32) for tokens in (64, 128, 384, 512)]
    built = [Profile(index=index, lows={"ids": (1, 1)}, highs={"ids": end}) for index, end in enumerate(ends)]
    assert smallest(built, {"ids": shape}).highs == {"ids": highs}


@pytest.mark.parametrize("shape", [(33, 64), (0, 64), (1, 7), (1, 513), (1, 64, 1)])
def test_outside(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match=r"does not take a batch of ids .*profiles are ids 1x8 to 32x512"):
        smallest(profiles((8, 512)), {"ids": shape})


def test_growth_is_never_less_than_needed_and_rarely_happens() -> None:
    size, moves = 0, 0
    for needed in range(1, 1_000_000, 997):
        if needed > size:
            size, moves = grown(size, needed), moves + 1
        assert size >= needed
    assert moves < 20
    assert grown(0, 0) > 0


def test_old_memory_is_freed_before_new_memory_is_allocated() -> None:
    taken: list[int] = []
    peak = 0

    def allocate(size: int) -> int:
        nonlocal peak
        taken.append(size)
        peak = max(peak, len(taken))
        return 1000 + size

    buffer = Buffer(allocate, lambda address: taken.remove(address - 1000))
    assert buffer.hold(10)
    assert not buffer.hold(10)
    assert not buffer.hold(buffer.size)
    assert buffer.hold(buffer.size + 1)
    buffer.close()
    buffer.close()
    assert (taken, peak, buffer.address) == ([], 1, 0)


def test_a_failed_allocation_leaves_the_buffer_empty() -> None:
    def refuse(size: int) -> int:
        raise EngineError("out of memory")

    freed: list[int] = []
    buffer = Buffer(refuse, freed.append)
    with pytest.raises(EngineError):
        buffer.hold(10)
    assert (buffer.address, buffer.size, freed) == (0, 0, [])
