"""The interface of an exported graph, in a file beside it, so that later stages do not need PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.manifest import Span, Tensor
from distilforge.manifest.document import READER


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What is known of an exported graph without reading it."""

    head: str
    """The head's name, as in model_src.heads."""

    architecture: str
    """Hugging Face's name of the model's class."""

    labels: tuple[str, ...]
    """The labels' names, by id."""

    problem_type: str | None
    """Hugging Face's problem_type, for a classifier that declares one."""

    inputs: tuple[Tensor, ...]
    """The inputs, in the graph's order."""

    outputs: tuple[Tensor, ...]
    """The outputs, in the graph's order."""

    spans: Mapping[str, Span]
    """The sizes that each dynamic axis may have, by the axis's name."""

    def write(self, path: Path) -> None:
        """Write the interface to `path` as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Interface":
        """The interface that was written to `path`."""
        return READER.read_json(cls, path.read_text(encoding="utf-8"), str(path))
