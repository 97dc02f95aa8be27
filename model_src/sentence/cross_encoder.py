"""Cross-encoders of sentence-transformers: which function turns logits into scores. Does not need PyTorch.

The library names an activation; transformers and releases have a problem type. Source: sentence-transformers 5.7,
CrossEncoder.get_default_activation_fn: without a name it is a sigmoid for one label, as in transformers' pipeline.
"""

from collections.abc import Mapping
from pathlib import Path

from model_src.errors import CheckpointError, ConfigurationError
from model_src.sentence import listing

_SECTION = "sentence_transformers"
_ACTIVATION = "activation_fn"
# Before version 4
_OLD_ACTIVATION = "sbert_ce_default_activation_function"


def with_activation(values: Mapping[str, object], activation: object) -> Mapping[str, object]:
    """The content `values` of config.json with the activation of config_sentence_transformers.json, if that has one."""
    if activation is None:
        return values
    section = values.get(_SECTION)
    return {**values, _SECTION: {**(section if isinstance(section, dict) else {}), _ACTIVATION: activation}}


def activation(values: Mapping[str, object]) -> object:
    """The activation in the content `values` of config.json, by its name in PyTorch; None if there is none."""
    section = values.get(_SECTION)
    if isinstance(section, dict) and section.get(_ACTIVATION) is not None:
        return section[_ACTIVATION]
    return values.get(_OLD_ACTIVATION)


def problem_type(values: Mapping[str, object], labels: int) -> str | None:
    """The problem type that gives the cross-encoder's scores for so many `labels`; None if it is the default one.

    Raises ConfigurationError for another activation than the identity, a sigmoid and a softmax.
    """
    name = activation(values)
    if name is None:
        return None
    package, _, function = str(name).rpartition(".")
    if package.startswith("torch.nn"):
        if function == "Identity":
            # Of several labels, applications get the softmax, which has the order of the logits
            return "regression" if labels == 1 else None
        if function == "Sigmoid":
            return None if labels == 1 else "multi_label_classification"
        if function == "Softmax" and labels > 1:
            return "single_label_classification"
    raise ConfigurationError(
        f"the cross-encoder's activation is {name!r:.80}; supported are those of torch.nn called Identity, Sigmoid "
        "and, for several labels, Softmax",
        hint=f"remove {_ACTIVATION} or {_OLD_ACTIVATION} from the configuration, and apply the function to the scores",
    )


def check_agrees(values: Mapping[str, object], kind: object, labels: int) -> None:
    """Raise ConfigurationError if the cross-encoder's activation is another function than that of the problem type."""
    if activation(values) is None:
        return
    expected = problem_type(values, labels)
    if expected is None and labels > 1:
        return
    # A sigmoid
    expected = expected or "multi_label_classification"
    if kind != expected:
        raise ConfigurationError(
            f"config.json has the problem_type {kind!r:.80}, and the cross-encoder's activation is "
            f"{activation(values)}, which is that of {expected}",
            hint=f"remove the one that is wrong: problem_type, or {_ACTIVATION} or {_OLD_ACTIVATION}",
        )


def read_activation(root: Path) -> object:
    """The activation in config_sentence_transformers.json of the cross-encoder in the folder `root`; None without one.

    Raises CheckpointError if modules.json has more than the model with its head, or for a default prompt.
    """
    names = [entry.name for entry in listing.entries(root)]
    if names != ["Transformer"]:
        raise CheckpointError(
            f"{root / listing.MODULES} of the cross-encoder has the modules {', '.join(names)}; supported is one "
            "Transformer",
            hint="remove modules.json to build the model with the head that config.json names",
        )
    settings = listing.settings(root)
    if settings.get("default_prompt_name") is not None:
        raise CheckpointError(
            f"{root / listing.SETTINGS} has default_prompt_name {settings['default_prompt_name']!r:.80}, and the "
            "prompts of cross-encoders are not supported",
            hint="remove it, and put the prompt in front of the first text of each pair",
        )
    return settings.get(_ACTIVATION)
