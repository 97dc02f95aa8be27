"""The processor that an outcome belongs to, as the system describes it."""

import os
from dataclasses import dataclass
from pathlib import Path

from distilforge.json_fields import Fields, read_text

# As Linux spells them. Kernels for matrix products are chosen by these; others change the speed little.
INSTRUCTION_SETS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)
_CPUINFO = Path("/proc/cpuinfo")
_X86_SETS, _ARM_SETS = "flags", "Features"
# Arm's kernels name no model, and tell these numbers instead
_ARM_MODEL = ("CPU implementer", "CPU variant", "CPU part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What of a machine decides how fast its processor computes."""

    model: str
    """Its name, or the architecture's where the system tells no more."""
    instruction_sets: tuple[str, ...]
    """Those of INSTRUCTION_SETS that it has; empty where the system does not tell."""
    cores: int
    """How many this process may use."""

    @classmethod
    def from_fields(cls, fields: Fields) -> "Processor":
        """The processor in `fields`; ReleaseError naming the field that does not fit."""
        return cls(
            model=fields.text("model"),
            instruction_sets=fields.list("instruction_sets", read_text),
            cores=fields.integer("cores"),
        )


def this_processor(cpuinfo: Path = _CPUINFO) -> Processor:
    """The processor of this machine, as the file `cpuinfo` tells on Linux."""
    told = _first_core(cpuinfo)
    sets = told.get(_X86_SETS, told.get(_ARM_SETS, "")).split()
    numbers = [f"{name} {told[name]}" for name in _ARM_MODEL if name in told]
    return Processor(
        model=told.get("model name") or ", ".join(numbers) or _architecture(),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in sets),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def _first_core(cpuinfo: Path) -> dict[str, str]:
    """Of the first core alone: with hundreds of them the file takes the kernel a while to write."""
    told: dict[str, str] = {}
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                told[name.strip()] = value.strip()
    except OSError:
        return {}
    return told


def _architecture() -> str:
    import platform  # only where the system has no /proc/cpuinfo

    return platform.processor() or platform.machine()
