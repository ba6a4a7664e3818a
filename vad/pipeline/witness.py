"""What one camera showed lately, in memory: the tapes of its last runs, its last picture, samples of the last minutes.

The stream's thread writes, anyone reads. Each run has a tape of its own, and a new one ends the tape before: a reader
that was abandoned, and wakes up later, writes to a tape that takes nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from vad.config import EvidenceSettings, Polygon
from vad.video.overlay import Picture
from vad.video.samples import Samples
from vad.video.tape import Format, Tape

LONGER_S = 10.0
"""How much longer than ``before_s`` and ``after_s`` a clip may be, where an incident lasts."""
LATE_S = 3.0
"""How old a picture may be when it is judged, and its incident over."""
MOST_TAPES = 3
MIB = 2**20


def longest_clip_s(settings: EvidenceSettings) -> float:
    return settings.before_s + settings.after_s + LONGER_S


class Witness:
    """One camera's."""

    def __init__(self, settings: EvidenceSettings) -> None:
        self.masks: tuple[Polygon, ...] = ()  # as they are now
        self.samples = Samples() if settings.enabled else None
        self._seconds = longest_clip_s(settings) + LATE_S
        self._max_bytes = settings.ring_mib * MIB if settings.enabled else 0
        self._tapes: tuple[Tape, ...] = ()  # oldest first; replaced whole

    def begin(self, run: int, *, masks: Sequence[Polygon]) -> Tape:
        """The tape of a run that begins now."""
        for before in self._tapes[-1:]:
            before.end(keep_picture=True)  # until the next one is there
        self.masks = tuple(masks)
        tape = Tape(run=run, seconds=self._seconds, max_bytes=self._max_bytes, samples=self.samples)
        self._tapes = (*self._tapes[1 - MOST_TAPES :], tape)
        return tape

    def rest(self) -> None:
        """Nothing comes for now: there is no picture, and the tape takes nothing more."""
        for tape in self._tapes:
            tape.end()

    def tape(self, run: int) -> Tape | None:
        """The tape of that run, unless it was long ago."""
        return next((tape for tape in self._tapes if tape.run == run), None)

    def forget_before(self, run: int) -> None:
        """All frames of earlier runs were judged: nobody asks for their tapes any more."""
        tapes = self._tapes
        if tapes and tapes[0].run < run:
            self._tapes = tuple(tape for tape in tapes if tape.run >= run)

    @property
    def size_bytes(self) -> int:
        return sum(tape.size_bytes for tape in self._tapes)

    def look(self, *, most_width: int | None) -> tuple[Picture, Format] | None:
        """The last picture decoded, while the stream runs: (height, width, 3) BGR, not masked yet. A new array."""
        looks = (tape.look(most_width=most_width) for tape in reversed(self._tapes))
        return next((seen for seen in looks if seen is not None), None)
