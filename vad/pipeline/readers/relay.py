"""What a process of readers keeps of a run until it has told the engine: the other end of a tape."""

from __future__ import annotations

from vad.pipeline.readers.messages import MOST_PACKET_BYTES, MOST_PACKETS
from vad.video.samples import Rhythm, Sample, Samples
from vad.video.tape import Tape, TapedPacket


class RelayedSamples(Samples):
    """Taken here, in the rhythm told, and kept there."""

    def __init__(self, rhythm: Rhythm) -> None:
        super().__init__()
        self.rhythm = self._told = rhythm
        self._fresh: list[Sample] = []

    def fetch(self) -> tuple[list[Sample], Rhythm | None]:
        """The samples since the last call, and the rhythm where it has changed since."""
        fresh, self._fresh = self._fresh, []
        changed = self.rhythm != self._told
        self._told = self.rhythm
        return fresh, self.rhythm if changed else None

    def keep(self, sample: Sample) -> None:
        self._fresh.append(sample)


class RelayedTape(Tape):
    """Packets wait to be fetched, as many as one batch may hold; only the last picture is kept.

    They are fetched within a second unless no picture comes out of them. Of what is more nothing is kept, and no packet
    after it up to the next key frame, which can be decoded without them.
    """

    def __init__(self, *, run: int, keeps_packets: bool, samples: RelayedSamples | None) -> None:
        super().__init__(run=run, seconds=0.0, max_bytes=int(keeps_packets), samples=samples)
        self.goes_on_at_s: float | None = None
        self._fresh: list[TapedPacket] = []
        self._fresh_bytes = 0
        self._awaits_key = False

    def fetch(self) -> list[TapedPacket]:
        """The packets since the last call."""
        fresh, self._fresh, self._fresh_bytes = self._fresh, [], 0
        return fresh

    def go_on_from(self, before: Tape, *, at_s: float | None) -> None:
        self.goes_on_at_s = at_s

    def _add(self, packet: TapedPacket) -> None:
        if self._awaits_key and not packet.is_key:
            return
        size = len(packet.data)
        is_full = len(self._fresh) >= MOST_PACKETS or self._fresh_bytes + size > MOST_PACKET_BYTES
        self._awaits_key = is_full
        if not is_full:
            self._fresh.append(packet)
            self._fresh_bytes += size
