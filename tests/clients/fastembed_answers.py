"""Writes the embeddings that fastembed computes with a release; run by the Python that has fastembed.

Usage: python fastembed_answers.py RELEASE TEXTS.json OUTPUT.npy
"""

import json
import sys
from pathlib import Path

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType


def main(release: str, texts: str, output: str) -> None:
    """Embed `texts` with the release as it is, from its folder."""
    dim = json.loads((Path(release) / "config.json").read_text(encoding="utf-8"))["dim"]
    TextEmbedding.add_custom_model(
        model="release",
        pooling=PoolingType.MEAN,
        normalization=False,
        # fastembed demands a source, and does not ask it where specific_model_path is given
        sources=ModelSource(hf="release"),
        dim=dim,
        model_file="onnx/model.onnx",
    )
    model = TextEmbedding("release", specific_model_path=release, threads=1)
    np.save(output, np.stack(list(model.embed(json.loads(texts)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
