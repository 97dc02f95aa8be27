"""The processor of this machine, as the system describes it."""

from dataclasses import dataclass
from pathlib import Path

from distilforge.affinity import available_cores

# As Linux spells them. Engines select their kernels for matrix products by these; others change the speed little
INSTRUCTION_SETS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)
_CPUINFO = Path("/proc/cpuinfo")
_X86_SETS, _ARM_SETS = "flags", "Features"
# Linux on Arm has these numbers in place of a model's name
_ARM_MODEL = ("CPU implementer", "CPU variant", "CPU part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The properties of a processor that decide how fast it computes."""

    model: str
    """The model's name; the architecture's name if the system does not have it."""
    instruction_sets: tuple[str, ...]
    """The members of INSTRUCTION_SETS that it has; empty if the system does not list them."""
    cores: int
    """How many cores this process may use."""


def this_processor(cpuinfo: Path = _CPUINFO) -> Processor:
    """The processor of this machine; on Linux the file `cpuinfo` describes it (proc(5))."""
    fields = _first_core(cpuinfo)
    sets = fields.get(_X86_SETS, fields.get(_ARM_SETS, "")).split()
    numbers = [f"{name} {fields[name]}" for name in _ARM_MODEL if name in fields]
    return Processor(
        model=fields.get("model name") or ", ".join(numbers) or _architecture(),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in sets),
        cores=len(available_cores()),
    )


def _first_core(cpuinfo: Path) -> dict[str, str]:
    """The fields of the first core; with hundreds of cores, reading them all takes a while. Empty without the file."""
    fields: dict[str, str] = {}
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                fields[name.strip()] = value.strip()
    except OSError:
        return {}
    return fields


def _architecture() -> str:
    import platform  # needed only without /proc/cpuinfo

    return platform.processor() or platform.machine()
