"""Time stamps of one stream's packets and frames, in seconds."""

from __future__ import annotations

from av import Packet, VideoFrame
from av.video.stream import VideoStream


class Stamps:
    """Without ``stamped`` the stream's time stamps are FFmpeg's invention, and there are none."""

    def __init__(self, *, stamped: bool) -> None:
        self._stamped = stamped
        self._seconds: tuple[int, int] | None = None  # of a tick, as a quotient

    def of_frame(self, frame: VideoFrame) -> float | None:
        """The frame's own time stamp, if it has one."""
        stamp = frame.pts
        return self._in_seconds(frame.dts if stamp is None else stamp, frame)

    def of_packet(self, packet: Packet[VideoStream]) -> float | None:
        """When it is to be shown, if it says so."""
        return self._in_seconds(packet.pts, packet)

    def on_tape(self, packet: Packet[VideoStream], stamp_s: float | None, *, arrived_s: float) -> float | None:
        """What a tape knows it by: ``stamp_s`` or its place in decoding; when it came where stamps are an invention."""
        if stamp_s is not None:
            return stamp_s
        return self._in_seconds(packet.dts, packet) if self._stamped else arrived_s

    def _in_seconds(self, stamp: int | None, of: VideoFrame | Packet[VideoStream]) -> float | None:
        """PyAV makes a Fraction each time it is asked for the unit, and its product takes twenty times a float's."""
        if stamp is None or not self._stamped:
            return None
        if self._seconds is None:
            if of.time_base is None:
                return None
            self._seconds = of.time_base.as_integer_ratio()
        return stamp * self._seconds[0] / self._seconds[1]
