"""How long a camera may be silent: longer where its frames come slowly.

At night cameras expose for seconds, and smart codecs send a still scene as a frame each ten seconds.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import median

GAPS = 8
"""Pictures whose distances count."""
GAPS_ALLOWED = 4.0
LEAST_GAPS = 2


class Patience:
    """Of one stream. ``note`` each picture's packet; ``timeout_s`` is at least ``read_timeout_s``."""

    def __init__(self, read_timeout_s: float) -> None:
        self._read_timeout_s = read_timeout_s
        self._read_s: deque[float] = deque(maxlen=GAPS + 1)

    def note(self, read_s: float) -> None:
        """A packet with data was read at the monotonic ``read_s``."""
        self._read_s.append(read_s)

    @property
    def timeout_s(self) -> float:
        """How long the next picture may take."""
        return max(self._read_timeout_s, self.usual_gap_s)

    @property
    def usual_gap_s(self) -> float:
        """What the next picture may take by those before it, 0.0 while little is known."""
        times_s = list(self._read_s)
        if len(times_s) <= LEAST_GAPS or times_s[-1] - times_s[0] < 1.0:
            return 0.0  # nearly all cameras
        return GAPS_ALLOWED * median(after - before for before, after in pairwise(times_s))

    @property
    def extra_s(self) -> float:
        return self.timeout_s - self._read_timeout_s
