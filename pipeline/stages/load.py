"""Load: find the checkpoint, and digest what builds depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_src import folder as checkpoint_folder
from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline.recipe.recipe import Recipe
from pipeline.store import digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The checkpoint's files and their digests; the model's and the tokenizer's apart, since export needs no text."""

    checkpoint: CheckpointFolder
    model: Mapping[str, str]
    tokenizer: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all the files."""
        return digests.of_value([self.model, self.tokenizer])


def load(recipe: Recipe) -> Source:
    """Find the recipe's checkpoint and digest its files; CheckpointError for what is not there or cannot be read."""
    checkpoint = checkpoint_folder.find(recipe.checkpoint)

    def digested(paths: Sequence[Path]) -> dict[str, str]:
        return {path.name: _digest(path) for path in paths}

    return Source(
        checkpoint=checkpoint,
        model=digested((checkpoint.config, *checkpoint.weights)),
        tokenizer=digested(checkpoint.tokenizer),
    )


def _digest(path: Path) -> str:
    try:
        return digests.of_file(path)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
