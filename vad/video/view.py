"""How the pictures of a stream are to be seen: turned, mirrored, with pixels that are not square, woven of two fields.

A picture itself says how it is turned (FFmpeg's display matrix), or the container does for all of them. Not each one of
a stream says it: what a key frame says holds up to the next one, as H.264 and HEVC have it.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideData, SideDataContainer
from numpy.typing import NDArray

from vad.types import Geometry

PixelAspect = tuple[int, int]
"""Width to height of a pixel."""

SQUARE: PixelAspect = (1, 1)
SQUARE_WITHIN = 0.02
"""Pixels that are so nearly square count as square: nothing is gained by stretching them."""
MOST_ASPECT = 3.0
"""Of width to height, or of height to width: more is no camera's, but a label that is wrong."""

_MATRIX_BYTES = 36


class Orientation(NamedTuple):
    """What is coded is turned clockwise by ``rotation`` degrees (0, 90, 180, 270), then mirrored left to right."""

    rotation: int = 0
    mirrored: bool = False

    def turned(self, clockwise: int) -> Orientation:
        """With what is seen turned on by so many degrees."""
        return self._replace(rotation=(self.rotation + (-clockwise if self.mirrored else clockwise)) % 360)


AS_CODED = Orientation()


class View(NamedTuple):
    """What a picture is, and how it is to be seen. Sizes are as coded."""

    width: int
    height: int
    orientation: Orientation
    aspect: PixelAspect
    is_woven: bool  # of two fields, each half a picture's lines and of its own moment

    def words(self, codec: str) -> str:
        """For people."""
        text = f"{codec} {self.width}x{self.height}"
        text += f", turned by {self.orientation.rotation} degrees" if self.orientation.rotation else ""
        text += ", mirrored" if self.orientation.mirrored else ""
        text += f", pixel aspect {self.aspect[0]}:{self.aspect[1]}" if self.aspect != SQUARE else ""
        return text + (", interlaced" if self.is_woven else "")


def said_by(frame: VideoFrame) -> Orientation | None:
    """How the frame says that it is to be turned; None where it says nothing. Other angles count as the nearest."""
    # not frame.side_data, which refers to the frame as that to it: pictures would stay until a collection
    found = SideDataContainer(frame)  # type: ignore[call-arg]  # its stub knows no constructor
    data = cast("SideData | None", found.get("DISPLAYMATRIX"))
    if data is None:
        return None
    matrix = np.frombuffer(bytes(data)[:_MATRIX_BYTES], np.int32).astype(float)
    a, b, c, d = (float(matrix[place]) for place in (0, 1, 3, 4))  # seen are (a x + c y, b x + d y) of a coded (x, y)
    mirrored = a * d < b * c
    angle = math.degrees(math.atan2(b, -a if mirrored else a))
    return Orientation(round(angle / 90.0) * 90 % 360, mirrored)


class Sight:
    """One stream's pictures, in the order in which they are shown. ``clockwise`` is what a camera's settings add."""

    def __init__(self, clockwise: int = 0) -> None:
        self._clockwise = clockwise
        self._said = AS_CODED
        self._is_woven = False

    def of(self, frame: VideoFrame, *, aspect: PixelAspect, otherwise: Orientation | None = None) -> View:
        """How this frame is to be seen. ``otherwise`` holds for key frames that do not say how they are turned.

        A stream that has shown a picture of two fields counts as interlaced from then on: many mix both kinds.
        """
        said = said_by(frame)
        if said is None and frame.key_frame:
            said = otherwise or AS_CODED
        self._said = said or self._said
        self._is_woven = self._is_woven or frame.interlaced_frame
        return View(frame.width, frame.height, self._said.turned(self._clockwise), aspect, self._is_woven)


def square_size(width: int, height: int, *, aspect: PixelAspect) -> tuple[int, int]:
    """The size with square pixels: one side is stretched, so that nothing is lost."""
    ratio = aspect[0] / aspect[1]
    if abs(ratio - 1.0) <= SQUARE_WITHIN or not 1.0 / MOST_ASPECT <= ratio <= MOST_ASPECT:
        return width, height
    return (round(width * ratio), height) if ratio > 1.0 else (width, round(height / ratio))


def upright(picture: NDArray[np.uint8], grid: Geometry) -> NDArray[np.uint8]:
    """(height, width, ...) what is coded, as it is seen. A view of it."""
    seen = np.rot90(picture, -grid.rotation // 90)
    return seen[:, ::-1] if grid.mirrored else seen
