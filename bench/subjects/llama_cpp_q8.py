"""llama.cpp with 8-bit weights (Q8_0). Its classifier is another one, so our two small layers run in numpy."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Answer, Logits
from bench.models import gguf_model
from bench.models.sizes import CONFIG
from bench.subjects import Subject, subjects

FILE = "model.gguf"
_MOST_TEXTS = 32
_MOST_TOKENS = _MOST_TEXTS * CONFIG.max_position_embeddings


def _prepare(checkpoint: Path, folder: Path) -> None:
    gguf_model.write(checkpoint, folder / FILE)
    shutil.copyfile(checkpoint / "model.safetensors", folder / "model.safetensors")


def _open(folder: Path, threads: int) -> Answer:
    import ctypes

    import llama_cpp
    from safetensors import safe_open

    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        str(folder / FILE).encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        raise RuntimeError(f"llama.cpp cannot load {folder / FILE}")
    settings = llama_cpp.llama_context_default_params()
    # An encoder reads a batch at once
    settings.n_ctx = settings.n_batch = settings.n_ubatch = _MOST_TOKENS
    settings.n_seq_max = _MOST_TEXTS
    settings.n_threads = settings.n_threads_batch = threads
    settings.embeddings = True
    settings.pooling_type = llama_cpp.LLAMA_POOLING_TYPE_CLS
    context = llama_cpp.llama_init_from_model(model, settings)
    if not context:
        raise RuntimeError("llama.cpp cannot make a context")
    batch = llama_cpp.llama_batch_init(_MOST_TOKENS, 0, 1)
    with safe_open(folder / "model.safetensors", framework="np") as file:
        first, first_bias = file.get_tensor("pre_classifier.weight").T, file.get_tensor("pre_classifier.bias")
        last, last_bias = file.get_tensor("classifier.weight").T, file.get_tensor("classifier.bias")

    def fill(pointer: object, values: npt.NDArray[np.generic]) -> None:
        ctypes.memmove(pointer, values.ctypes.data, values.nbytes)  # type: ignore[arg-type]

    def answer(ids: Ids, mask: Ids) -> Logits:
        texts, positions = np.nonzero(mask)
        ones = np.ones(len(texts), np.int32)
        fill(batch.token, ids[texts, positions].astype(np.int32))
        fill(batch.pos, positions.astype(np.int32))
        fill(batch.n_seq_id, ones)
        fill(batch.logits, ones.astype(np.int8))
        for token, text in enumerate(texts):
            batch.seq_id[token][0] = text
        batch.n_tokens = len(texts)
        if llama_cpp.llama_encode(context, batch) != 0:
            raise RuntimeError("llama.cpp cannot encode the batch")
        states = np.stack(
            [
                np.ctypeslib.as_array(llama_cpp.llama_get_embeddings_seq(context, text), (width,))
                for text in range(len(ids))
            ]
        )
        logits: Logits = np.maximum(states @ first + first_bias, 0) @ last + last_bias
        return logits

    width = len(first)
    return answer


subjects.add(
    Subject(
        name="llama-cpp-q8",
        title="llama.cpp Q8_0",
        settings=(
            "GGUF with Q8_0 weights, llama-cpp-python as pip compiles it for this processor, all texts in one batch "
            "without padding, first token pooled"
        ),
        packages=("llama-cpp-python", "gguf", "safetensors"),
        install="pip install -c constraints.txt -e '.[bench-llama]' (it compiles llama.cpp with cmake)",
        prepare=_prepare,
        open=_open,
    )
)
