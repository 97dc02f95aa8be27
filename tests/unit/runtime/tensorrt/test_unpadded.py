"""Engines without padding: the runtime feeds the kept tokens, on the host, on the device and in CUDA graphs."""

import numpy as np
import pytest
from distilforge import EngineError
from distilforge.cuda.runtime import CudaPython
from distilforge.engine import Array
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.settings import EngineSettings

from tests.fake_gpu.cuda import FakeCuda
from tests.fake_gpu.toolkit import GPU, fake_engine, profile, unpadded

PROFILES = (unpadded(profile(0, (1, 2), (8, 16))), unpadded(profile(1, (1, 17), (8, 64))))


@pytest.fixture
def engine(cuda: FakeCuda) -> TensorRTEngine:
    return TensorRTEngine(fake_engine(cuda, PROFILES), CudaPython(), GPU, EngineSettings(contexts=1))


def batch(*lengths: int, tokens: int) -> dict[str, Array]:
    """Texts of ones; a length of 0 is a text that is masked throughout."""
    mask = (np.arange(tokens) < np.array(lengths)[:, None]).astype(np.int64)
    return {"input_ids": np.ones_like(mask), "attention_mask": mask}


@pytest.mark.parametrize(
    ("lengths", "tokens", "kept"),
    [
        ((8, 8), 8, 16),
        # The batch has no more slots, so that the number is not rounded up to 64
        ((3, 1), 8, 16),
        ((40, 1, 1, 1), 40, 64),
        ((40, 30, 1, 1), 40, 128),
        ((1, 0), 64, 128),
    ],
)
def test_the_engine_computes_the_kept_tokens(
    engine: TensorRTEngine, lengths: tuple[int, ...], tokens: int, kept: int
) -> None:
    logits = engine.run(batch(*lengths, tokens=tokens))["logits"]
    np.testing.assert_array_equal(logits, [[length, tokens, kept] for length in lengths])


def test_users_do_not_feed_them(engine: TensorRTEngine) -> None:
    assert [tensor.name for tensor in engine.inputs] == ["input_ids", "attention_mask"]


def test_arrays_on_the_device(engine: TensorRTEngine) -> None:
    fed = {name: engine.to_device(array) for name, array in batch(40, 1, 1, 1, tokens=40).items()}
    seen: list[object] = []
    outputs = engine.run_on_device(fed, seen.append)
    np.testing.assert_array_equal(
        engine.to_host(outputs["logits"]), [[length, 40, 64] for length in (40, 1, 1, 1)]
    )
    assert seen == [{"input_ids": (4, 40), "attention_mask": (4, 40)}]


def test_batches_of_one_shape_and_about_as_many_tokens_share_a_cuda_graph(
    engine: TensorRTEngine, cuda: FakeCuda
) -> None:
    for lengths in ((40, 1, 1, 1), (38, 2, 3, 4), (10, 10, 10, 10), (1, 1, 1, 40)):
        logits = engine.run(batch(*lengths, tokens=40))["logits"]
        np.testing.assert_array_equal(logits, [[length, 40, 64] for length in lengths])
    # The first two run apart: a shape has to come again, and then its graph is captured
    assert cuda.launches == 2
    logits = engine.run(batch(40, 40, 40, 40, tokens=40))["logits"]
    np.testing.assert_array_equal(logits, [[40, 40, 160]] * 4)
    assert cuda.launches == 2


def test_a_batch_outside_the_profiles(engine: TensorRTEngine) -> None:
    with pytest.raises(
        EngineError, match="does not take a batch of input_ids 9x8, attention_mask 9x8;"
    ) as caught:
        engine.run(batch(*[8] * 9, tokens=8))
    assert "kept_tokens" not in caught.value.message
