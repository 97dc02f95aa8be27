"""Assemble the checkpoints of the demo from the installed encoder and the deltas: `python -m demo.assemble`.

PyTorch is imported only where there is something to write, so that an unchanged build starts fast.
"""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import model_src
from demo import encoder

DELTAS = Path(__file__).with_name("deltas")
CHECKPOINTS = {
    "features": "sentence-embedding",
    "masked_lm": "fill-mask",
    "multiple_choice": "how-to",
    "question_answering": "answers",
    "sequence_classification": "sentiment",
    "token_classification": "punctuation",
}
ENCODER_ALONE = "features"
"""The head whose checkpoint is the encoder without a delta."""
STAMP = ".assembled-from"


def assemble(output: Path) -> bool:
    """Write each checkpoint that is not up to date as a folder in `output`; returns whether any was written.

    Raises FileNotFoundError if the package of the encoder or a delta is missing.
    """
    inputs = _digest_of_inputs()
    stale = [head for head, name in CHECKPOINTS.items() if _stamp(output / name) != inputs]
    if not stale:
        return False
    from demo import delta as deltas
    from demo.checkpoint import Base

    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output, prefix=".assembling-") as scratch:
        base = Base(folder=Path(scratch) / "encoder")
        encoder.write(base.folder)
        for head in stale:
            name = CHECKPOINTS[head]
            sys.stderr.write(f"assembling {output / name}\n")
            folder = Path(scratch) / name
            if head == ENCODER_ALONE:
                base.write_features(folder)
            else:
                base.write_head(deltas.read(DELTAS / f"{head}.safetensors"), folder)
            (folder / STAMP).write_text(inputs, encoding="utf-8")
            shutil.rmtree(output / name, ignore_errors=True)
            folder.rename(output / name)
    return True


def _stamp(folder: Path) -> str:
    path = folder / STAMP
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _digest_of_inputs() -> str:
    """A digest of everything that the checkpoints depend on: weights, deltas and code."""
    package = encoder.package_folder()
    names = ("config.json", "model.safetensors", "tokenizer.json", "special_tokens_map.json", "vocab.txt")
    here = Path(__file__).parent
    files = [
        *(package / name for name in names),
        *(DELTAS / f"{head}.safetensors" for head in sorted(CHECKPOINTS) if head != ENCODER_ALONE),
        *(here / name for name in ("assemble.py", "checkpoint.py", "delta.py", "encoder.py", "NOTICE.md")),
        *sorted(Path(str(model_src.__file__)).parent.rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; restore it from git, or run `make demo-train`")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def main() -> None:
    """Parse the command line and assemble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo/checkpoints"))
    output = parser.parse_args().output
    if not assemble(output):
        sys.stderr.write(f"{output} is up to date\n")


if __name__ == "__main__":
    main()
