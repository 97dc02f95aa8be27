"""The processor as Linux describes it, on x86 and on Arm, and without a description."""

import platform
from pathlib import Path

import pytest
from distilforge.records.processor import this_processor

X86 = """processor\t: 0
model name\t: AMD EPYC 9B45
flags\t\t: fpu sse2 avx2 fma avx512f avx512_vnni avx512_bf16

processor\t: 1
model name\t: another core
flags\t\t: amx_int8
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU variant\t: 0x0
CPU part\t: 0xd4f
"""


@pytest.mark.parametrize(
    ("text", "model", "sets"),
    [
        (X86, "AMD EPYC 9B45", ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16")),
        (
            ARM,
            "CPU implementer 0x41, CPU variant 0x0, CPU part 0xd4f",
            ("asimd", "asimddp", "i8mm", "bf16", "sve"),
        ),
        ("", platform.processor() or platform.machine(), ()),
    ],
)
def test_the_fields_of_cpuinfo(tmp_path: Path, text: str, model: str, sets: tuple[str, ...]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    processor = this_processor(tmp_path / "cpuinfo")
    assert (processor.model, processor.instruction_sets) == (model, sets)
    assert processor.cores >= 1


def test_a_system_without_cpuinfo(tmp_path: Path) -> None:
    assert this_processor(tmp_path / "absent").instruction_sets == ()
