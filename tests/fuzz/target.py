"""What a target of the fuzzer is: real files, how they are mutated, what reads them, and which errors may leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations.choices import Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file that a stranger hands over."""

    name: str
    """The name of the file that it takes the place of."""
    content: bytes
    """Its content."""


Use = Callable[[], object]
"""One use of an input by the code under test; lets every error out."""
Reader = Callable[[Input], Sequence[Use]]
"""The uses of an input, in their order; an error of one does not end the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One kind of file that strangers hand over. `tests.fuzz.targets` finds the `TARGET` of each of its modules."""

    errors: tuple[type[Exception], ...]
    """The errors that may leave the code under test; any other one is a finding."""
    samples: Callable[[Path], Sequence[Input]]
    """Real inputs, which are accepted, made from the folder of `tests.fuzz.samples`."""
    mutate: Callable[[Input, Choices], bytes]
    """The content of a sample after some changes."""
    prepare: Callable[[Path, Path], Reader]
    """`prepare(samples, work)`: what reads an input, in the process that does; it may write into the folder `work`."""
