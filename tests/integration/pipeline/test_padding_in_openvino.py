"""INT8 in OpenVINO: a text has the same answer, to the bit, however it is padded."""

import numpy as np
import onnx_ir
import pytest

from pipeline.passes import base, registry
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from tests.graphs import CONFIG, Array, calibration, exported

HEAD = "question_answering"
LONGEST = 64


def test_padding_changes_no_bit() -> None:
    """Without the pass, 3 of these 171 texts are answered otherwise on AVX2."""
    openvino = pytest.importorskip("openvino")
    graph = exported(HEAD, dim=64, hidden_dim=128, max_position_embeddings=LONGEST)
    base.apply(graph, [registry.find("attention_scale")])
    # Products of 7-bit weights are exact on every CPU
    plan = Plan(scheme="int8_static", weight_bits=7)
    schemes.find(plan.scheme).run(graph, plan, calibration(HEAD))
    base.apply(graph, [registry.find("whole_vectors")])
    core = openvino.Core()
    model = core.read_model(onnx_ir.to_proto(graph).SerializeToString())
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    random = np.random.default_rng(0)

    def answered(ids: Array, tokens: int) -> list[Array]:
        """The scores of the tokens `ids`, padded to `tokens`."""
        padding = [(0, 0), (0, tokens - ids.shape[1])]
        feeds = {"input_ids": np.pad(ids, padding), "attention_mask": np.pad(np.ones_like(ids), padding)}
        outputs = request.infer(feeds, share_inputs=False, share_outputs=False)
        return [np.array(output)[:, : ids.shape[1]] for output in outputs.values()]

    for length in range(3, LONGEST - 4):
        ids = random.integers(0, CONFIG.vocab_size, (1, length))
        alone = answered(ids, length)
        for tokens in (length + 1, length + 3, LONGEST):
            for given, expected in zip(answered(ids, tokens), alone, strict=True):
                np.testing.assert_array_equal(given, expected, err_msg=f"{length} tokens, padded to {tokens}")
