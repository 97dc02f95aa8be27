"""The ceiling: how fast a large u8s8 matrix product is through ONNX Runtime, `python -m bench.ceiling 2`."""

import json
import sys
import time

import numpy as np

SIZE = (1024, 3072, 3072)
RUNS = 40


def operations_per_second(threads: int) -> float:
    """Of the fastest of some runs, since a ceiling is what was reached at best."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    rows, inner, columns = SIZE
    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (inner, columns)).astype(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "ceiling",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [rows, inner])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [rows, columns])],
        [onnx.numpy_helper.from_array(weight, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"a": random.integers(0, 256, (rows, inner)).astype(np.uint8)}
    session.run(None, feeds)
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / min(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(operations_per_second(int(sys.argv[1]))) + "\n")
