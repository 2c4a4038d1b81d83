"""Memory that stays with the process.

glibc gives a large block back to the kernel as soon as it is freed and asks for it again, page by page, on the next
training step; large logits made that dear. benchmarks/training.py measures what keeping it brings: 2 % with the
`small` Transformer, whose losses are computed in blocks. KEIFU_ALLOCATOR=system leaves the C library as it is.
"""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # names of <malloc.h>


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next step. Returns whether it was there to be told; may be repeated."""
    if sys.platform != "linux" or os.environ.get("KEIFU_ALLOCATOR") == "system":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    most = 2**31 - 1  # mallopt takes a C int
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, most) and mallopt(_M_TOP_PAD, 2**28))
