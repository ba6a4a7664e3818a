"""What a process of readers keeps of a run until it has told the engine: the other end of a tape."""

from __future__ import annotations

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
    """Packets wait to be fetched, in memory that is bounded by how often they are; only the last picture is kept."""

    def __init__(self, *, run: int, keeps_packets: bool, samples: RelayedSamples | None) -> None:
        super().__init__(run=run, seconds=0.0, max_bytes=int(keeps_packets), samples=samples)
        self.goes_on_at_s: float | None = None
        self._fresh: list[TapedPacket] = []

    def fetch(self) -> list[TapedPacket]:
        """The packets since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def go_on_from(self, before: Tape, *, at_s: float | None) -> None:
        self.goes_on_at_s = at_s

    def _add(self, packet: TapedPacket) -> None:
        self._fresh.append(packet)
