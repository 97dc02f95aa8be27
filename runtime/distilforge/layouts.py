"""What other programs add to a release's folder: the links of caches and volumes, and files of operating systems."""

from pathlib import Path, PurePosixPath

_STRAY_NAMES = (".DS_Store", "Thumbs.db", "desktop.ini", "Zone.Identifier")
_STRAY_PREFIXES = ("._", ".nfs")
_STRAY_SUFFIXES = (":Zone.Identifier",)
_HUB_METADATA = (".cache", "huggingface")
_VOLUME = "..data"


def is_stray(name: PurePosixPath) -> bool:
    """Whether the file `name`, relative to the release, is one that an operating system or a download leaves there.

    Examples are .DS_Store and ._model.onnx of macOS, Zone.Identifier of Windows, .nfs0001 of NFS, and the metadata that
    huggingface_hub writes into .cache/huggingface beside a download.
    """
    return (
        name.name in _STRAY_NAMES
        or name.name.startswith(_STRAY_PREFIXES)
        or name.name.endswith(_STRAY_SUFFIXES)
        or name.parts[:2] == _HUB_METADATA
    )


def without_volume(manifest: Path) -> Path:
    """The folder of `manifest`, without links; in a Kubernetes volume, the one that ..data names now.

    Kubernetes replaces the link ..data when the volume changes, so it is followed only once.
    """
    folder = manifest.parent
    volume = (folder / _VOLUME).resolve()
    return volume if manifest.resolve().parent == volume else folder.resolve()


def is_inside(root: Path, target: Path) -> bool:
    """Whether `target`, without links, belongs to the release in `root`.

    It does in `root`, and in the blobs of the hub cache whose snapshot `root` is. In that cache snapshots/REVISION has
    the links and blobs has the files.
    """
    if target.is_relative_to(root):
        return True
    is_snapshot = root.parent.name == "snapshots"
    return is_snapshot and target.parent == root.parent.parent / "blobs"
