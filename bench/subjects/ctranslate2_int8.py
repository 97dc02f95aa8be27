"""CTranslate2's INT8 encoder. CTranslate2 does not have a classifier, so its two small layers run in numpy."""

import os
import shutil
from pathlib import Path

from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Answer, Logits
from bench.subjects import Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(checkpoint)).convert(str(folder / "encoder"), quantization="int8")
    shutil.copyfile(checkpoint / "model.safetensors", folder / "model.safetensors")


def _open(folder: Path, threads: int) -> Answer:
    if "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        # On processors that are not Intel's, CTranslate2 takes AVX2, which is a fifth slower
        os.environ["CT2_FORCE_CPU_ISA"] = "AVX512"
    import ctranslate2
    import numpy as np
    from safetensors import safe_open

    encoder = ctranslate2.Encoder(
        str(folder / "encoder"), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
    )
    with safe_open(folder / "model.safetensors", framework="np") as file:
        first, first_bias = file.get_tensor("pre_classifier.weight").T, file.get_tensor("pre_classifier.bias")
        last, last_bias = file.get_tensor("classifier.weight").T, file.get_tensor("classifier.bias")

    def answer(ids: Ids, mask: Ids) -> Logits:
        words = ctranslate2.StorageView.from_array(ids.astype(np.int32))
        lengths = ctranslate2.StorageView.from_array(mask.sum(axis=1).astype(np.int32))
        states = np.asarray(encoder.forward_batch(words, lengths).last_hidden_state)
        logits: Logits = np.maximum(states[:, 0] @ first + first_bias, 0) @ last + last_bias
        return logits

    return answer


subjects.add(
    Subject(
        name="ctranslate2-int8",
        title="CTranslate2 INT8",
        settings=(
            "TransformersConverter(quantization=int8), compute_type=int8, AVX512 if the processor has it, arrays in "
            "and out without a copy"
        ),
        packages=("ctranslate2", "transformers", "safetensors"),
        prepare=_prepare,
        open=_open,
    )
)
