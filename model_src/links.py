"""Files of a checkpoint that may be links. Does not need PyTorch."""

from pathlib import Path

from model_src.errors import CheckpointError


def is_file(folder: Path, name: str) -> bool:
    """Whether the checkpoint in `folder` has the file `name`.

    Raises CheckpointError for a link that leads out of the checkpoint: a release would publish what it leads to.
    """
    path = folder / name
    try:
        if not path.is_file():
            return False
        root, target = folder.resolve(), path.resolve()
    except OSError as cause:
        raise CheckpointError(
            f"the file {name!r:.80} in {folder} cannot be read: {cause.strerror}",
            hint="check its name and its permissions",
        ) from cause
    if not any(target.is_relative_to(allowed) for allowed in (root, *_hub_blobs(root))):
        raise CheckpointError(
            f"{path} is a link that leads out of the checkpoint, to {target}",
            hint="if the checkpoint is yours, copy it with `cp -rL`, which replaces links by files; else do not use it",
        )
    return True


def _hub_blobs(root: Path) -> tuple[Path, ...]:
    """The folder to which the files of a snapshot in the hub's cache are links; () for any other folder.

    The cache has models--OWNER--NAME/snapshots/REVISION/FILE, which links to models--OWNER--NAME/blobs/DIGEST.
    """
    return tuple(
        model / "blobs"
        for snapshots, model in zip(root.parents, root.parents[1:], strict=False)
        if snapshots.name == "snapshots" and model.name.startswith("models--")
    )
