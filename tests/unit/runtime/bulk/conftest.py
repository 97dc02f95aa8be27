"""The tests of this folder need the extra `bulk`."""

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'distilforge[bulk]'")
pytest.importorskip("fsspec", reason="needs fsspec: pip install 'distilforge[bulk]'")
