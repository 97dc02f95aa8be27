"""Interface: what a graph takes and gives, written beside it so that later stages need no PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.json_fields import Fields, read_text
from distilforge.manifest import Span, Tensor, read_span, read_tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Inputs, outputs and spans of an exported graph, and the head that it is, with Hugging Face's name for it."""

    head: str
    architecture: str
    labels: tuple[str, ...]
    problem_type: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spans: Mapping[str, Span]

    def write(self, path: Path) -> None:
        """Write this to `path` as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Interface":
        """The interface that was written to `path`."""
        fields = Fields.parse(path.read_text(encoding="utf-8"), str(path))
        return cls(
            head=fields.text("head"),
            architecture=fields.text("architecture"),
            labels=fields.list("labels", read_text),
            problem_type=fields.text("problem_type") if fields.has("problem_type") else None,
            inputs=fields.list("inputs", read_tensor),
            outputs=fields.list("outputs", read_tensor),
            spans=fields.map("spans", read_span),
        )
