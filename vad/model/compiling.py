"""How the model's loops are compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Planes = NDArray[np.float32]


def kernel(function: Any) -> Any:
    """Compile with the GIL released and the machine code cached on disk. Sums may be reordered: 1e-5 is good enough."""
    return njit(nogil=True, cache=True, fastmath=True, error_model="numpy")(function)
