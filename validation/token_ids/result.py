"""The result of the comparison of token ids, and its JSON."""

import json
from dataclasses import asdict, dataclass

from distilforge.manifest.document import READER


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIdComparison:
    """How the token ids of a release were compared with those of transformers, and found equal."""

    oracle: str
    """What they were compared with, such as "transformers 4.57.6"; empty if they were not compared."""
    texts: int
    """How many texts and pairs were compared."""
    obstacle: str = ""
    """Why they were not compared, as a clause; empty if they were."""

    @property
    def note(self) -> str:
        """A sentence that says why they were not compared; empty if they were."""
        return f"Token ids were not compared with transformers: {self.obstacle}." if self.obstacle else ""

    def to_json(self) -> str:
        """This comparison as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str) -> "TokenIdComparison":
        """The comparison in `text`; raises distilforge's ReleaseError, which names the field that does not fit."""
        return READER.read_json(cls, text, path)
