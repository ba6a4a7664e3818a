"""What a reader gives, item by item, and what it tells of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from vad.types import ClockFault, Frame, Geometry
from vad.video.view import AS_CODED, SQUARE, Orientation, PixelAspect, View


class Passed(NamedTuple):
    """Frames that are not analysed: above the analysis rate, or (``overrun`` of them) come far too late."""

    frames: int
    overrun: int = 0


ABOVE_RATE, OVERRUN = Passed(1), Passed(1, overrun=1)

Item: TypeAlias = Frame | Passed


class Counts(NamedTuple):
    """What a reader knows of its run so far."""

    measured_fps: float | None = None  # by the frames' own time stamps; None until a few are in
    corrupt_packets: int = 0  # packets and frames skipped because their data were damaged
    spared_frames: int = 0  # never decoded, since no other picture refers to them
    unfiltered_frames: int = 0  # decoded without the codec's loop filter
    extra_timeout_s: float = 0.0  # how much longer than read_timeout_s the next frame may take
    outlier_stamps: int = 0  # single time stamps far off, replaced
    clock_fault: ClockFault | None = None
    clock_skew_s: float | None = None  # the camera's time of day less this machine's, None before it was reported
    clock_ratio: float | None = None  # seconds by the camera's stamps in a second, None until it was measured


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a stream is. Sizes are those of its first decoded frame, as coded; ``decoder`` is the last one's."""

    codec: str
    profile: str | None
    container: str
    width: int
    height: int
    pixel_format: str
    decoder: str  # "cpu", or "cuda" where a GPU decodes
    announced_fps: float | None
    live: bool
    geometry: Geometry
    orientation: Orientation = AS_CODED  # what the camera's settings add is in it
    pixel_aspect: PixelAspect = SQUARE
    interlaced: bool = False

    @property
    def view(self) -> View:
        """How its pictures are to be seen."""
        return View(self.width, self.height, self.orientation, self.pixel_aspect, self.interlaced)
