"""Automatic exposure: the camera follows the light, and is misled by what is large and bright or dark near by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vad.video.synthetic.shaping import Drawn

_LEAST_SHARE = 0.02
"""Bodies that cover less of the picture do not mislead it."""

_PULL = 2.4
_LARGEST = 0.28
_GREY = 105.0


class Exposure:
    """The camera's gain at a frame: what the last second asked for, smoothed, so that it needs no memory of its own."""

    def __init__(
        self,
        *,
        fps: float,
        width: int,
        height: int,
        settled: Callable[[float], float],
        level: Callable[[int], float],
        drawn: Callable[[int], Sequence[Drawn]],
    ) -> None:
        """``settled`` gives the gain that a level of light asks for; ``level`` and ``drawn`` are asked by frame."""
        self._settled = settled
        self._level, self._drawn = level, drawn
        self._width, self._height = width, height
        delays = np.arange(1, max(2, round(1.3 * fps)) + 1)
        weights = np.exp(-delays / (0.35 * fps))
        self._weights: list[float] = (weights / weights.sum()).tolist()
        self._asked: dict[int, float] = {}

    def gain(self, index: int) -> float:
        """The gain in force at frame ``index``: light times gain is what the picture shows."""
        total = 0.0
        for delay, weight in enumerate(self._weights, start=1):
            total += weight * self._asked_at(index - delay)
        return float(np.exp(total))

    def note(self, index: int, level: float, drawn: Sequence[Drawn]) -> None:
        """What frame ``index`` asks for, when it is known anyway."""
        if len(self._asked) > 200:
            self._asked = {i: asked for i, asked in self._asked.items() if index - 30 <= i <= index}
        self._asked[index] = self._ask(level, drawn)

    def _asked_at(self, index: int) -> float:
        if index not in self._asked:
            self.note(index, self._level(index), self._drawn(index))
        return self._asked[index]

    def _ask(self, level: float, drawn: Sequence[Drawn]) -> float:
        gain = self._settled(level)
        pull = 0.0
        for body in drawn:
            x0, y0, x1, y1 = body.box
            share = 0.65 * max(min(x1, self._width) - max(x0, 0), 0) * max(min(y1, self._height) - max(y0, 0), 0)
            share /= self._width * self._height
            if share > _LEAST_SHARE and len(body.lumas):
                pull += share * (float(body.lumas.mean()) * level * gain - _GREY) / _GREY
        return float(np.log(gain)) - min(max(_PULL * pull, -_LARGEST), _LARGEST)
