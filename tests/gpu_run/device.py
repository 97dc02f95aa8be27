"""`python -m tests.gpu_run.device TARGET`: exits with 3 and one line where this machine has no NVIDIA GPU that works.

It runs before anything is installed. The package distilforge needs packages, but its file that asks the driver does
not, and is run alone.
"""

import ctypes
import runpy
import sys
from pathlib import Path

LIBRARY = "libcuda.so.1"
QUERY = Path(__file__).parents[2] / "runtime" / "distilforge" / "cuda" / "query.py"
NO_DEVICE = 3


def main() -> None:
    """Say which devices there are, or what is missing."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as cause:
        _refuse(f"this machine has no NVIDIA driver ({cause})")
    functions = runpy.run_path(str(QUERY))
    answer = functions["query"](functions["library_asker"](library))
    if answer["error"]:
        _refuse(f"this machine's driver does not start: {answer['error_name']} ({answer['error']})")
    if not answer["devices"]:
        _refuse("this machine's driver sees no GPU; CUDA_VISIBLE_DEVICES or a container may hide it")
    for index, device in enumerate(answer["devices"]):
        sys.stdout.write(
            f"cuda:{index}: {device['name']}, compute capability {device['major']}.{device['minor']}\n"
        )


def _refuse(reason: str) -> None:
    sys.stderr.write(f"make {sys.argv[1]} needs an NVIDIA GPU: {reason}\n")
    sys.exit(NO_DEVICE)


if __name__ == "__main__":
    main()
