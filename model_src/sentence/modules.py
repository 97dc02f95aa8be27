"""The modules behind the encoder of a sentence-transformers folder. Does not need PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_src.sentence.listing import MODULES

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""The ways to pool hidden states, in the order in which the library concatenates several of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """One embedding from the hidden states of all tokens."""

    modes: tuple[str, ...]
    """Of POOLING_MODES; the results of several are concatenated."""

    def __str__(self) -> str:
        return f"Pooling ({', '.join(self.modes)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A linear layer with an activation."""

    in_features: int
    """The width of its input."""
    out_features: int
    """The width of its output."""
    bias: bool
    """Whether it has a bias."""
    activation: str
    """The name of its activation, one of model_src.config.ACTIVATIONS."""
    weights: Path
    """The file with `linear.weight` and, if there is one, `linear.bias`."""

    def __str__(self) -> str:
        return f"Dense ({self.in_features} to {self.out_features}, {self.activation})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorm:
    """A layer norm with a weight and a bias, and PyTorch's default epsilon."""

    features: int
    """The width of its input, which is that of its output."""
    weights: Path
    """The file with `norm.weight` and `norm.bias`."""

    def __str__(self) -> str:
        return "LayerNorm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """Scaling to length 1."""

    def __str__(self) -> str:
        return "Normalize"


SentenceModule = Pooling | Dense | LayerNorm | Normalize
"""A module that computes part of a sentence embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceModules:
    """What a sentence-transformers folder declares besides the encoder."""

    modules: tuple[SentenceModule, ...]
    """What computes the embedding, in order; the first is the pooling."""
    layer_names: tuple[str, ...]
    """The position in modules.json, from 0 for the encoder, of each module after the pooling."""
    max_seq_length: int | None
    """The most tokens that the library reads of a text; None if only the number of positions limits them."""
    do_lower_case: bool
    """Whether the library changes texts to lower case before the tokenizer does anything."""
    files: tuple[Path, ...]
    """The files that were read: modules.json, and those of the settings and of the modules."""
    copies: Mapping[str, Path]
    """The files of the modules and of the library's settings, by the names that `write` gives to them."""
    types: tuple[str, ...]
    """The classes in modules.json, the encoder's first."""
    truncate_dim: int | None = None
    """How many numbers of the embedding the library keeps, from its first on; None for all."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name in SentenceEmbedding."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, layer in zip(self.layer_names, self.modules[1:], strict=True):
            if isinstance(layer, Dense):
                shapes[f"{name}.linear.weight"] = (layer.out_features, layer.in_features)
                if layer.bias:
                    shapes[f"{name}.linear.bias"] = (layer.out_features,)
            elif isinstance(layer, LayerNorm):
                shapes |= {f"{name}.norm.{part}": (layer.features,) for part in ("weight", "bias")}
        return shapes

    @property
    def summary(self) -> str:
        """A sentence for the log of a build."""
        kept = f", cut to its first {self.truncate_dim} numbers" if self.truncate_dim else ""
        limit = f"; a text has at most {self.max_seq_length} tokens" if self.max_seq_length else ""
        return f"{MODULES}: the sentence embedding is {', then '.join(map(str, self.modules))}{kept}{limit}"
