"""Asks TensorRT's own ONNX parser about a file: `python -m pipeline.engines.preflight.parser MODULE MODEL.onnx`.

It is a process of its own because the parser can crash on a damaged graph. The last line that it prints is JSON.
"""

import importlib
import json
import os
import sys


def main() -> None:
    """Parse the model argv[2] with the module argv[1] and print {"version": ..., "errors": [...]}."""
    module, path = sys.argv[1:]
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as replies:
        # The parser writes to both streams
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        tensorrt = importlib.import_module(module)
        polygraphy = importlib.import_module("polygraphy.backend.trt")
        # create_network knows how each version is told that the graph determines the precision
        _, network = polygraphy.create_network(strongly_typed=True)
        parser = tensorrt.OnnxParser(network, polygraphy.get_trt_logger())
        accepted = parser.parse_from_file(path)
        errors = [parser.get_error(place) for place in range(parser.num_errors)]
        entries = [
            {
                "index": error.node(),
                "node": error.node_name(),
                "operator": error.node_operator(),
                "message": error.desc(),
                "tensor": error.file() if not error.node_operator() else "",
            }
            for error in errors
        ]
        if not accepted and not entries:
            entries = [{"index": -1, "node": "", "operator": "", "message": "no reason given", "tensor": ""}]
        replies.write(json.dumps({"version": tensorrt.__version__, "errors": entries}) + "\n")


if __name__ == "__main__":
    main()
