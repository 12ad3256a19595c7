"""Python's garbage collector, set for a process in which very much waits for a second or so."""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 100


def relax() -> None:
    """Look for garbage less often; for the start of a process that is ours alone.

    What a stream or a request waits by lives long enough to count as old by the defaults, and each time that
    enough of it does, the whole heap is gone through: half of a processor with 5,000 streams, and pauses in
    which nobody is answered. What the program itself consists of is left out for ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
