"""What the pipeline's wheel holds: its three packages, the report's template and the demo's data; no tests, no demo."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("model_src", "pipeline", "validation")
BESIDE_MODULES = (".jsonl.gz", ".j2", ".toml", "py.typed")
COPIED_INTO_PACKAGES = "pipeline/packages/files/"


def test_contents(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, timeout=120)
    (wheel,) = tmp_path.glob("distilforge_pipeline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        name
        for name in listed.stdout.splitlines()
        if name.startswith(tuple(f"{package}/" for package in PACKAGES))
        and (name.endswith((".py", *BESIDE_MODULES)) or name.startswith(COPIED_INTO_PACKAGES))
    }
    assert names == expected
