"""Writes the files of sentence-transformers' modules, in the library's present layout. Does not need PyTorch."""

import shutil
from pathlib import Path

from model_src.json_file import write_json
from model_src.sentence.listing import MODULES
from model_src.sentence.modules import SentenceModules

_ENCODER_SETTINGS = "sentence_bert_config.json"


def write(sentence: SentenceModules, folder: Path) -> None:
    """Write the files of sentence-transformers into `folder`, which is the encoder's, in the library's present layout.

    They are modules.json, the settings, and a folder for each module that has a configuration.
    """
    for name, path in sentence.copies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    names = [name.rpartition(".")[2] for name in sentence.types]
    entries = [
        {
            "idx": position,
            "name": str(position),
            "path": f"{position}_{name}" if position else "",
            "type": kind if position or name == "Transformer" else "sentence_transformers.models.Transformer",
        }
        for position, (name, kind) in enumerate(zip(names, sentence.types, strict=True))
    ]
    write_json(folder / MODULES, entries, indent=2)
    encoder = {"max_seq_length": sentence.max_seq_length, "do_lower_case": sentence.do_lower_case}
    write_json(folder / _ENCODER_SETTINGS, encoder, indent=2)
