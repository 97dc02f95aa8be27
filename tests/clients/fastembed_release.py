"""Opens releases of the head `features` with fastembed, and compares its embeddings with the runtime's.

Usage: python -m tests.clients.fastembed_release RELEASE...

fastembed is installed into a virtual environment of its own, below .ci-environments. Releases with another head are
left out. Exits 1 if an embedding differs, or if there is nothing to compare.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import distilforge
import numpy as np
from distilforge.release import read_manifest, resolve

from tests.clients.onnxruntime_versions import ENVIRONMENTS

VERSION = "0.9.1"
ANSWERS = Path(__file__).with_name("fastembed_answers.py")
TEXTS = (
    "The food in this hotel was good.",
    "Nobody told us why.",
    "a",
    "The river by the city is slow " * 20,
)
NOISE = 1e-4
"""float32 kernels of another version that add in another order differ by about 3e-5; other pooling by 0.1 and more."""


def main(*releases: str) -> int:
    """Print a line for each release and return the exit code."""
    embedding = [
        folder for folder in map(resolve, map(Path, releases)) if read_manifest(folder).head == "features"
    ]
    if not embedding:
        sys.stderr.write("none of the releases has the head features\n")
        return 1
    differing = 0
    for folder in embedding:
        session = distilforge.open(folder, variant="onnxruntime-cpu:fp32", threads=1)
        assert isinstance(session, distilforge.Features)
        expected = np.stack(session(list(TEXTS), pooling="mean"))
        error = float(np.abs(embeddings(folder) - expected).max())
        differing += not error <= NOISE
        sys.stdout.write(
            f"fastembed {VERSION}: {session.manifest.name} differs by {error:.2g}; at most {NOISE:g} is allowed\n"
        )
    return bool(differing)


def embeddings(release: Path) -> np.ndarray:
    """What fastembed computes for TEXTS, (texts, dim)."""
    with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
        output = Path(folder) / "embeddings.npy"
        subprocess.run([environment(), ANSWERS, release, json.dumps(TEXTS), output], check=True)
        return np.load(output)


def environment() -> Path:
    """The Python of a virtual environment with fastembed, which is made if needed."""
    folder = ENVIRONMENTS / f"fastembed-{VERSION}"
    python = folder / "bin" / "python"
    complete = folder / ".complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install")
        subprocess.run([*pip, "--quiet", f"fastembed=={VERSION}"], check=True)
        complete.touch()
    return python


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
