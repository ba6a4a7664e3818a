"""Token buckets: how often somebody may do something."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

MOST_KEYS = 10_000


class Buckets:
    """A bucket for each key: ``burst`` at once, ``rate_per_s`` in the long run. Used by one thread.

    At most MOST_KEYS are remembered; who is forgotten begins with a full one.
    """

    def __init__(self, *, rate_per_s: float, burst: float) -> None:
        self.rate_per_s, self.burst = rate_per_s, max(1.0, burst)
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, when

    def level(self, key: str, *, now_s: float) -> float:
        """How many are left."""
        level, at_s = self._levels.get(key, (self.burst, now_s))
        return min(self.burst, level + (now_s - at_s) * self.rate_per_s)

    def take(self, key: str, *, now_s: float) -> bool:
        """One of them; False when none is left."""
        level = self.level(key, now_s=now_s)
        taken = level >= 1.0
        self._levels[key] = (level - 1.0 if taken else level, now_s)
        self._levels.move_to_end(key)
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)
        return taken

    def wait_s(self, key: str, *, now_s: float) -> int:
        """Whole seconds until there is one again."""
        return max(1, math.ceil((1.0 - self.level(key, now_s=now_s)) / self.rate_per_s))


def peer_key(host: str) -> str:
    """Whom an address stands for: of IPv6 the whole /64, since one machine has as many of them as it likes."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
