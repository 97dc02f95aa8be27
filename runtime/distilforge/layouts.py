"""What other programs add to a release's folder: the links of caches and volumes, and files of operating systems."""

import os
from pathlib import Path, PurePosixPath

# In any folder: macOS and netatalk, Windows, KDE, Synology, file systems with snapshots, and Jupyter
_STRAY_NAMES = (
    ".DS_Store",
    ".localized",
    ".AppleDouble",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "Zone.Identifier",
    ".directory",
    "@eaDir",
    ".snapshot",
    ".ipynb_checkpoints",
)
_LOST_AND_FOUND = "lost+found"
# What NFS, FUSE and Samba keep of a file that was deleted while it was open
_STRAY_PREFIXES = ("._", ".nfs", ".fuse_hidden", ".smbdelete")
_STRAY_SUFFIXES = (":Zone.Identifier",)
_HUB_METADATA = (".cache", "huggingface")
_VOLUME = "..data"


def is_stray(name: PurePosixPath) -> bool:
    """Whether the file or folder `name`, relative to the release, is left there by an operating system or a download.

    Examples are .DS_Store and ._model.onnx of macOS, Zone.Identifier of Windows, .nfs0001 of NFS, lost+found in the
    root of a volume, @eaDir of a NAS, and the metadata that huggingface_hub writes into .cache/huggingface beside a
    download.
    """
    return (
        name.name in _STRAY_NAMES
        or name.name.startswith(_STRAY_PREFIXES)
        or name.name.endswith(_STRAY_SUFFIXES)
        or name.parts[:2] == _HUB_METADATA
        or name.parts[0] == _LOST_AND_FOUND
    )


def without_volume(manifest: Path) -> Path:
    """The folder of `manifest`, without links; in a Kubernetes volume, the one that ..data names now.

    Kubernetes replaces the link ..data when the volume changes, so it is followed only once.
    """
    folder = manifest.parent
    # Unlike Path.resolve, this does not raise for a link that leads to itself
    volume = Path(os.path.realpath(folder / _VOLUME))
    real = Path(os.path.realpath(manifest))
    return volume if real.parent == volume else Path(os.path.realpath(folder))


def is_inside(root: Path, target: Path) -> bool:
    """Whether `target`, without links, belongs to the release in `root`.

    It does in `root`, and in the blobs of the hub cache whose snapshot `root` is. In that cache snapshots/REVISION has
    the links and blobs has the files.
    """
    if target.is_relative_to(root):
        return True
    is_snapshot = root.parent.name == "snapshots"
    return is_snapshot and target.parent == root.parent.parent / "blobs"
