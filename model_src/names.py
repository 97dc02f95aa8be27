"""Names of tensors in checkpoints: prefixes that training tools add, and tensors that no forward pass reads."""

_ENCODER = "distilbert"
# torch.nn.DataParallel and DistributedDataParallel; torch.compile
_WRAPPERS = ("module", "_orig_mod")
# Modules that hold the weights of a loss, such as those of its classes
_LOSSES = ("loss_fct", "loss_fn", "loss", "loss_function", "criterion")
_LOSS_WEIGHTS = ("class_weight", "class_weights", "pos_weight")
# A buffer that transformers saved before version 4.31
_POSITIONS = "position_ids"


def without_wrappers(name: str) -> str:
    """The tensor's `name` without what wrappers put before and into it: "module.", "_orig_mod.", and a second encoder.

    A second encoder is "distilbert.distilbert.", which a model inside another model has.
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    while parts[:2] == [_ENCODER, _ENCODER]:
        del parts[0]
    return ".".join(parts)


def is_unused(name: str) -> bool:
    """Whether no forward pass reads the tensor `name`: the weights of a loss, and the buffer of positions."""
    parts = without_wrappers(name).split(".")
    return (
        parts[-1] == _POSITIONS
        or (len(parts) > 1 and parts[0] in _LOSSES)
        or (len(parts) == 1 and parts[0] in _LOSS_WEIGHTS)
    )
