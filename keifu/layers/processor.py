"""What the processor can do in hardware."""

from pathlib import Path


def has_any(*instructions: str) -> bool:
    """Whether it has one of these instruction sets, as Linux names them ("avx512_bf16"). Unknown counts as no."""
    try:
        return not set(instructions).isdisjoint(Path("/proc/cpuinfo").read_text("utf-8").split())
    except OSError:
        return False
