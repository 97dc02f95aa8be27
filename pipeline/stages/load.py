"""Load: find the checkpoint and compute the digests of its files."""

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
    """A checkpoint and the digests of its files."""

    checkpoint: CheckpointFolder
    """The checkpoint."""
    model: Mapping[str, str]
    """The digests of config.json and of the weights by file name, and of sentence-transformers' files by path."""
    tokenizer: Mapping[str, str]
    """The digests of the tokenizer's files, by file name. They are separate because the export does not need them."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all the files."""
        return digests.of_value([self.model, self.tokenizer])


def load(recipe: Recipe) -> Source:
    """The recipe's checkpoint with the digests of its files; CheckpointError if one is missing or cannot be read."""
    return source(checkpoint_folder.find(recipe.checkpoint, head=recipe.head))


def source(checkpoint: CheckpointFolder) -> Source:
    """`checkpoint` with the digests of its files; CheckpointError if one cannot be read."""

    def file_digests(paths: Sequence[Path]) -> dict[str, str]:
        return {path.name: _digest(path) for path in paths}

    return Source(
        checkpoint=checkpoint,
        model=file_digests((checkpoint.config, *checkpoint.weights))
        | {path.relative_to(checkpoint.root).as_posix(): _digest(path) for path in checkpoint.settings},
        tokenizer=file_digests(checkpoint.tokenizer),
    )


def _digest(path: Path) -> str:
    try:
        return digests.of_file(path)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
