"""Arrays that are used again from call to call."""

from __future__ import annotations

import math

import numpy as np

from vad.model.compiling import Planes


class Room:
    """``room(name, *shape)`` -> an array with any values in it, to be used until the name is asked for again.

    Arrays of a megabyte that are made and freed for each clip go back to the system in between, and to get their pages
    anew costs as much as a layer of the network.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Planes] = {}

    def __call__(self, name: str, *shape: int) -> Planes:
        size = math.prod(shape)
        array = self._arrays.get(name)
        if array is None or len(array) < size:
            array = self._arrays[name] = np.empty(size, np.float32)
        return array[:size].reshape(shape)
