"""A DistilBERT with low-rank adapters (LoRA), and the delta that is the result of a training.

LoRA: Hu and others 2021, arXiv:2106.09685.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from demo import encoder
from demo.delta import DOWN, UP
from demo.training.task import Task

ADAPTED_LAYERS = ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")


def adapted_model(task: Task, seed: int) -> nn.Module:
    """The encoder with the head of `task`; adapters, biases, layer norms and the head are trained."""
    torch.manual_seed(seed)
    with TemporaryDirectory() as scratch:
        encoder.write(Path(scratch))
        fields = json.loads((Path(scratch) / "config.json").read_text(encoding="utf-8"))
        config = transformers.DistilBertConfig.from_dict(
            fields | task.config() | {"dropout": task.dropout, "attention_dropout": 0.0}
        )
        model: nn.Module = getattr(transformers, task.architecture).from_pretrained(scratch, config=config)
    lora = LoraConfig(
        r=task.rank, lora_alpha=task.rank, target_modules=list(ADAPTED_LAYERS), lora_dropout=0.0
    )
    model = inject_adapter_in_model(lora, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = _is_trained(name)
        if name.endswith("base_layer.weight"):
            parameter.data = parameter.data.to(torch.bfloat16)
    return model


def _is_trained(name: str) -> bool:
    if "lora_" in name:
        return True
    if not name.startswith("distilbert."):
        return name != "vocab_projector.weight"
    return "embeddings" not in name and (name.endswith(".bias") or "layer_norm" in name)


def delta_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trained tensors of `state`, under the names of a delta; the scale of the adapters is 1."""
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if _is_trained(name):
            renamed = name.replace(".base_layer", "")
            renamed = renamed.replace(".lora_A.default.weight", DOWN).replace(".lora_B.default.weight", UP)
            tensors[renamed] = value
    return tensors
