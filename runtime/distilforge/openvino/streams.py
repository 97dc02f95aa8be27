"""How many threads OpenVINO gets, and how many runs can go on at once."""

from dataclasses import dataclass

MOST_STREAMS = 4
"""Each stream has its own memory for activations and its own kernels, so that more would cost too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The threads of one compiled model."""

    count: int
    """How many runs can go on at once."""
    threads: int
    """The threads of all streams together; 0 for as many as the machine has."""

    @classmethod
    def of(cls, threads: int | None, cores: int) -> "Streams":
        """As many streams of `threads` threads as there are `cores` for, at most MOST_STREAMS.

        Without `threads`, there is one stream with every thread of the machine.
        """
        if threads is None:
            return cls(count=1, threads=0)
        count = max(1, min(cores // threads, MOST_STREAMS))
        return cls(count=count, threads=count * threads)

    def properties(self) -> dict[str, str]:
        """The properties of OpenVINO that give a compiled model these threads."""
        return {
            # Otherwise OpenVINO may choose another number of streams
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": str(self.count),
            "INFERENCE_NUM_THREADS": str(self.threads),
            # Two processes that pin their threads share the first core, and leave the others idle
            "ENABLE_CPU_PINNING": "NO",
        }
