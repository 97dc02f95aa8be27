"""What `pip install distilforge` brings: the package, its typing marker, the manifest's schema, and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

RUNTIME = Path(__file__).parents[3] / "runtime"
PIP_WHEEL = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")


def test_contents(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(RUNTIME, source, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    subprocess.run(
        [*PIP_WHEEL, "--no-build-isolation", "--wheel-dir", tmp_path, source],
        check=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("distilforge-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = [
            line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")
        ]
    modules = {path.relative_to(RUNTIME).as_posix() for path in (RUNTIME / "distilforge").rglob("*.py")}
    assert names == modules | {"distilforge/py.typed", "distilforge/manifest.schema.json"}
    always = [line for line in required if "extra ==" not in line]
    assert sorted(line.split()[1].split(">")[0] for line in always) == ["numpy", "onnxruntime", "tokenizers"]
    extras = {line.partition("extra == ")[2].strip("\"' ") for line in required} - {""}
    assert extras == set(
        tomllib.loads((RUNTIME / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    assert wheel.stat().st_size < 450_000
