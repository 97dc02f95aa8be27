"""What `/info` says of embeddings whose pooling is part of the graph."""

from types import SimpleNamespace
from typing import cast

from distilforge.manifest import Tensor
from distilforge.serve.routes.embeddings_inference import EmbeddingsInference
from distilforge.serve.service import Service


def test_a_pooling_that_the_model_declares_is_not_called_mean() -> None:
    def model_type(output: str) -> object:
        manifest = SimpleNamespace(outputs=(Tensor(name=output, dtype="float32", shape=("batch", 8)),))
        session = SimpleNamespace(head="features", manifest=manifest)
        return EmbeddingsInference(cast("Service", SimpleNamespace(session=session)))._model_type()

    assert model_type("sentence_embedding") == {"embedding": {}}
    assert model_type("last_hidden_state") == {"embedding": {"pooling": "mean"}}
