"""Saves a Core ML model with the same bytes each time."""

import json
import uuid
from pathlib import Path

from coremltools.models import MLModel
from coremltools.models.utils import load_spec

_MANIFEST = "Manifest.json"
_SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
_ITEMS, _ROOT = "itemInfoEntries", "rootModelIdentifier"


def save(model: MLModel, folder: Path) -> None:
    """Write `model` into the new folder `folder`, a .mlpackage.

    coremltools writes the fields of protocol buffers' maps in a random order, and gives the files of the package random
    identifiers.
    """
    model.save(str(folder))
    specification = load_spec(str(folder)).SerializeToString(deterministic=True)
    (folder / _SPECIFICATION).write_bytes(specification)
    manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    named = {old: str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"])) for old, item in manifest[_ITEMS].items()}
    manifest[_ITEMS] = {named[old]: item for old, item in manifest[_ITEMS].items()}
    manifest[_ROOT] = named[manifest[_ROOT]]
    text = json.dumps(manifest, indent=4, sort_keys=True) + "\n"
    (folder / _MANIFEST).write_text(text, encoding="utf-8")
