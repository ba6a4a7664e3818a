"""Where in the picture, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Box(Protocol):
    """A region of an event, typed or off the wire."""

    @property
    def x0(self) -> float: ...

    @property
    def y0(self) -> float: ...

    @property
    def x1(self) -> float: ...

    @property
    def y1(self) -> float: ...

    @property
    def score(self) -> float: ...


def place(regions: Sequence[Box]) -> str:
    """The strongest region in words, such as ``middle left``; empty when there is none."""
    if not regions:
        return ""
    region = max(regions, key=lambda r: r.score)
    x, y = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
    column = ("left", "centre", "right")[min(2, int(x * 3))]
    row = ("top", "middle", "bottom")[min(2, int(y * 3))]
    return f"{row} {column}"
