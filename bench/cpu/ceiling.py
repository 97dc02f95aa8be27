"""The ceiling on a CPU: the speed of a large u8s8 matrix product in ONNX Runtime.

python -m bench.cpu.ceiling THREADS
"""

import json
import sys
import time

import numpy as np

ROWS, INNER, COLUMNS = 1024, 3072, 3072
RUNS = 40


def operations_per_second(threads: int) -> float:
    """Operations per second in the fastest of several runs, because a ceiling is the best that was reached."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (INNER, COLUMNS)).astype(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "ceiling",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [ROWS, INNER])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [ROWS, COLUMNS])],
        [onnx.numpy_helper.from_array(weight, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"a": random.integers(0, 256, (ROWS, INNER)).astype(np.uint8)}
    session.run(None, feeds)
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - start)
    # A multiplication and an addition count as two operations
    return 2 * ROWS * INNER * COLUMNS / min(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(operations_per_second(int(sys.argv[1]))) + "\n")
