"""What a session needs of a loaded variant; every engine that a backend loads is one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from distilforge.manifest import Tensor

if TYPE_CHECKING:
    from distilforge.cuda.arrays import DeviceArray

Array = NDArray[np.generic]
Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of inputs, by name."""


class Engine(Protocol):
    """One loaded variant; safe to run from several threads at once."""

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes, by the engine's own names, first choice first."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs that the loaded file reports; a dtype that it does not fix is empty, and a size is a name."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The outputs that the loaded file reports, as in `inputs`."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by name, for feeds that were checked; EngineError where the engine fails."""


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine that also takes arrays on its device."""

    def run_on_device(
        self, feeds: Mapping[str, object], check: Callable[[Shapes], None] | None = None
    ) -> "dict[str, DeviceArray]":
        """Every output by name, on the device, for arrays of whatever library.

        `check` looks at the inputs' shapes before they are used. Raises InputError for arrays that do not fit, what
        `check` raises, and EngineError.
        """
