"""The tests of this folder need the extra `serve`."""

import pytest

for package in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason=f"needs {package}: pip install 'distilforge[serve]'")
