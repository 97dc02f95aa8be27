"""Starts the server that nvidia-pytriton bundles on a Triton package, and asks its ensemble with texts.

Usage: python -m tests.clients.triton_server RELEASE...

That server has the python backend alone. The tokenizer and the ensemble are those of the package; the graph runs in the
python backend too, where the package names the one for ONNX Runtime. nvidia-pytriton is installed into a virtual
environment of its own, below .ci-environments, since it needs an older numpy. Exits with 1 if an answer is wrong.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".ci-environments" / "pytriton"
GRAPH_MODEL = Path(__file__).with_name("triton") / "graph_model.py"
REQUIREMENTS = ("nvidia-pytriton==0.7.0", "numpy<2", "onnxruntime==1.24.4", "tokenizers==0.22.2")
START_SECONDS = 300
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> int:
    """Print a line for each release and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT)
    parser.add_argument("releases", nargs="+", type=Path)
    arguments = parser.parse_args()
    python = environment(arguments.environment)
    failed = 0
    for release in arguments.releases:
        with tempfile.TemporaryDirectory(prefix="distilforge-") as temporary:
            package = Path(temporary) / "package"
            command = [str(Path(sys.executable).with_name("distilforge")), "package", str(release)]
            subprocess.run([*command, "--for", "triton", "--output", str(package)], check=True)
            with server(package, python, Path(temporary)) as url:
                asked = subprocess.run(
                    [sys.executable, "self_test.py", "--url", url], cwd=package, check=False
                )
            failed |= asked.returncode
    return failed


def environment(folder: Path) -> Path:
    """The Python of an environment with the server, which is made on first use."""
    python = folder / "bin" / "python"
    if not (folder / ".installed").is_file():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        (folder / ".installed").touch()
    return python


@contextmanager
def server(package: Path, python: Path, temporary: Path) -> Iterator[str]:
    """The address of a server that serves the package, until the context ends."""
    repository = stand_in(package / "models", temporary / "models")
    (bundled,) = (python.parent.parent / "lib").glob("python*/site-packages/pytriton/tritonserver")
    backends = temporary / "backends"
    shutil.copytree(bundled / "backends", backends)
    shutil.copy(
        bundled / "python_backend_stubs" / VERSION / "triton_python_backend_stub", backends / "python"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(bundled / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--disable-auto-complete-config",
    ]
    # The stub has the libraries of the wheel, and those of the Python that made the environment
    site_packages = bundled.parent.parent
    libraries = os.pathsep.join(
        [str(site_packages / "nvidia_pytriton.libs"), str(Path(sys.base_prefix) / "lib")]
    )
    # The stub finds its standard library by the first python3 on the path, which must be the environment's
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    variables = os.environ | {
        "PATH": path,
        "PYTHONPATH": str(site_packages),
        "LD_LIBRARY_PATH": libraries,
    }
    log = temporary / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=variables)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=60)


def stand_in(models: Path, folder: Path) -> Path:
    """A copy of the repository in which the python backend runs the graph."""
    shutil.copytree(models, folder)
    (graph,) = folder.glob("*-graph")
    config = graph / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    assert 'platform: "onnxruntime_onnx"' in text
    lines = [line for line in text.splitlines() if not line.startswith("default_model_filename")]
    config.write_text(
        "\n".join(lines).replace('platform: "onnxruntime_onnx"', 'backend: "python"'), encoding="utf-8"
    )
    shutil.copy(GRAPH_MODEL, graph / "1" / "model.py")
    return folder


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server is ready; SystemExit with its log if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    sys.exit(f"the server did not start:\n{log.read_text(encoding='utf-8')[-5000:]}")


if __name__ == "__main__":
    sys.exit(main())
