"""Flash attention against eager attention, on a machine with a GPU and the flash-attn package."""

import pytest
import torch

from model_src.attention import Eager, Flash
from model_src.errors import UnavailableAttentionError

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_flash_equals_eager_on_ragged_rows(dtype: torch.dtype) -> None:
    pytest.importorskip("flash_attn", reason="the flash-attn package is not installed")
    lengths = torch.tensor([1, 17, 64], device="cuda")
    mask = (torch.arange(64, device="cuda")[None] < lengths[:, None]).long()
    q, k, v = (torch.randn(3, 4, 64, 32, device="cuda", dtype=dtype) for _ in range(3))
    eager, flash = Eager(), Flash()
    expected = eager.attend(q, k, v, eager.prepare(mask, dtype), 0.0)
    attended = flash.attend(q, k, v, flash.prepare(mask, dtype), 0.0)
    real = mask.bool()[:, None, :, None].expand_as(expected)
    # Two sums in half precision, of values with variance 1
    assert (attended - expected)[real].abs().max().item() < 2e-2


def test_float32_is_refused() -> None:
    mask = torch.ones(1, 4, device="cuda", dtype=torch.long)
    with pytest.raises(UnavailableAttentionError, match="float16 or bfloat16"):
        Flash().prepare(mask, torch.float32)
