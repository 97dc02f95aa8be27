"""What a session needs of a loaded variant; every engine that a backend loads is one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from distilforge.manifest import Tensor

if TYPE_CHECKING:
    from distilforge.cuda.arrays import DeviceArray

Array = NDArray[np.generic]


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

    def take(self, feeds: Mapping[str, object]) -> "dict[str, DeviceArray]":
        """The inputs by name, of whatever library, when their work has ended; InputError for arrays that do not fit."""

    def run_on_device(self, feeds: Mapping[str, object]) -> "dict[str, DeviceArray]":
        """Every output by name, on the device, for feeds whose shapes were checked.

        Raises InputError for arrays that `take` refuses, and EngineError.
        """
