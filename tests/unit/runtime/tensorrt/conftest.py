"""What tests of engines share: a GPU in host memory."""

import pytest

from tests.fake_gpu.cuda import FakeCuda


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """CUDA's runtime, for this test alone."""
    fake = FakeCuda()
    fake.installed(monkeypatch)
    return fake
