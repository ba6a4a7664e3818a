"""How far a subscriber has come, in a file that a kill or a power loss leaves whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vad.errors import CursorError
from vad.events.schema import Epoch

if TYPE_CHECKING:
    from vad.clock import Clock

PASS_OVER_S = 5.0
"""How often a position that moved by itself is written."""


class Position(msgspec.Struct, frozen=True):
    """Everything up to ``sequence`` of ``epoch`` is done."""

    epoch: Epoch
    sequence: int


@dataclass(frozen=True, slots=True)
class CursorFile:
    """One position in JSON, replaced as a whole. One subscriber a file."""

    path: Path

    def read(self) -> Position | None:
        """None when there is no file yet. Raises CursorError for one that is no cursor."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Position)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeError) as exc:
            raise CursorError(f"{self.path} is not a cursor: {exc}; allowed: a file that a subscriber wrote") from None

    def write(self, position: Position) -> None:
        """On the disk when this returns. Raises CursorError; the position before is then still there."""
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(position))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as exc:
            raise CursorError(f"{self.path} cannot be written: {exc.strerror}") from None


class Progress:
    """What has been handed out, what of it is acknowledged, and the file that says so.

    Events that nobody asked for are passed over: while nothing handed out is unacknowledged they move the position too,
    so that a quiet choice does not fall behind what the journal keeps.
    """

    def __init__(self, file: CursorFile | None, *, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._written = self._acknowledged = self._handed = file.read() if file else None
        self._next_write_s = clock.monotonic_s()

    @property
    def position(self) -> Position | None:
        """The last that was acknowledged."""
        return self._acknowledged

    def hand_out(self, epoch: str, sequence: int) -> None:
        """The consumer has it; what lies before the beginning (a snapshot) changes nothing."""
        if self._file is None:
            return
        before = self._handed
        if before is None or before.epoch != epoch or before.sequence < sequence:
            self._handed = Position(epoch, sequence)

    def acknowledge(self, position: Position | None = None) -> None:
        """Everything handed out, or everything up to ``position``, is done: on the disk when this returns."""
        self._acknowledged = position or self._handed
        self._write()

    def pass_over(self, position: Position) -> None:
        """Nothing is left to be handed out up to there."""
        if self._file is None or position == self._acknowledged or self._handed != self._acknowledged:
            return
        self._acknowledged = self._handed = position
        if self._written is None or self._clock.monotonic_s() >= self._next_write_s:
            self._write()

    def close(self) -> None:
        if self._acknowledged != self._written:
            self._write()

    def _write(self) -> None:
        if self._file is None or self._acknowledged is None:
            return
        self._file.write(self._acknowledged)
        self._written = self._acknowledged
        self._next_write_s = self._clock.monotonic_s() + PASS_OVER_S
