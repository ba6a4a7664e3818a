"""Every error that vad raises for a cause outside itself.

::

    VadError
    ├── ConfigError        the site file is wrong: every fault at once, each with its path
    ├── OverlayError       what was changed at run time cannot be kept: the change is refused
    ├── CommandRefused     the engine cannot do that now: it stops, or has no thread to give
    ├── CameraNotFound     no camera has that id
    ├── CameraExists       a camera has that id already
    ├── StreamError        a camera or file: has a code, says if a retry can help
    ├── WeightsError       the weights file is missing, truncated, foreign or does not fit
    ├── DatasetError       a dataset, its labels or its masks are not what they should be
    ├── TrainingError      a training cannot begin, go on or write what it made
    ├── CalibrationError   a saved calibration is unreadable or was made with other weights
    ├── JournalError       the event journal cannot be opened or written
    │   └── JournalDamaged its content is damaged: opened again, it is set aside and a new epoch begins
    ├── VerdictError       what people said of incidents cannot be read or written
    ├── TokenFileError     the file of the API's tokens is unreadable, or readable by others
    ├── WireError          a message on the bus cannot be read or made
    ├── ReplayError        the engine refuses to replay what was asked for
    ├── CursorError        a subscriber's cursor file cannot be read or written
    ├── EventsLost         a subscriber lost events that it cannot get back: says which
    ├── BindError          an address is taken or not allowed
    ├── KeyFileError       a key of the bus is missing, unreadable or none
    ├── BridgeError        a bridge could not deliver, now or (EventRefused) ever
    └── EngineError        a stage of the engine died: the process must end non-zero

Messages say what, got, allowed. None of them ever holds a credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VadError(Exception):
    """Base of all. Retrying the same call cannot help unless a subclass says so."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a config file: dotted ``path`` to it, and a message that says what, got, allowed."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(VadError):
    """The configuration is refused; ``faults`` holds all of them. A retry cannot help."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        plural = "fault" if len(faults) == 1 else "faults"
        super().__init__(f"{source}: {len(faults)} {plural}\n{lines}")


class OverlayError(VadError):
    """A change made at run time cannot be written, and so is not made. Retrying helps once there is room."""

    retryable = True


class CommandRefused(VadError):
    """The engine cannot do what it was told at run time: it is stopping, or the machine has no thread to give."""

    retryable = True


class CameraNotFound(VadError):
    """No camera has that id."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        super().__init__(f"no camera has the id {camera!r}")


class CameraExists(VadError):
    """A camera has that id already. It can be replaced, or removed first."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        super().__init__(f"a camera has the id {camera!r} already; allowed: an id of its own, or replacing that camera")


class StreamCode(StrEnum):
    """Why a stream is not giving frames: the same word in log, metrics and event."""

    AUTH_FAILED = "auth_failed"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    CODEC_UNSUPPORTED = "codec_unsupported"
    NO_VIDEO = "no_video"
    NO_VIDEO_PACKETS = "no_video_packets"  # the camera is connected and talks on, but its video has stopped
    ENDED = "ended"
    FORMAT_CHANGED = "format_changed"  # resolution or codec changed in mid-stream: a new run, not a failure
    PTS_JUMP = "pts_jump"  # media time jumped: a new run, not a failure
    BROKEN = "broken"  # the connection or the data broke in a way FFmpeg has no better word for
    READER_DIED = "reader_died"  # the process that read this camera and no other has ended


class StreamError(VadError):
    """A stream cannot be opened or read. Retrying can always help: cameras come back and passwords get mended.

    ``retry_s``: when to try again, where that has nothing to do with how often it has failed.
    """

    retryable = True

    def __init__(self, code: StreamCode, message: str, *, retry_s: float | None = None) -> None:
        self.code = code
        self.retry_s = retry_s
        super().__init__(message)


class WeightsError(VadError):
    """A weights file is missing, truncated, foreign, or does not fit its card. A retry cannot help."""


class DatasetError(VadError):
    """A dataset is empty, or its clips, labels and masks do not fit each other. A retry cannot help."""


class TrainingError(VadError):
    """A training cannot begin or go on. Its last good checkpoint is kept, and the message says what can be done."""


class CalibrationError(VadError):
    """A saved calibration cannot be used. The camera can always start cold instead."""


class JournalError(VadError):
    """The event journal cannot be opened or written. Retrying helps once there is room or the other writer is gone."""

    retryable = True


class JournalDamaged(JournalError):
    """What the journal holds is damaged. Writing goes on in a new epoch once it has been opened again."""

    retryable = False


class VerdictError(VadError):
    """Verdicts cannot be read or written. Retrying helps once there is room (``is_full``) or the disk is back."""

    retryable = True

    def __init__(self, message: str, *, is_full: bool = False) -> None:
        self.is_full = is_full
        super().__init__(message)


class TokenFileError(VadError):
    """The file of the API's tokens cannot be used, or a token cannot be made. Retrying helps once it is mended."""

    retryable = True


class WireError(VadError):
    """A message is not what ``docs/wire.md`` says: malformed, foreign or too big. A retry cannot help."""


class ReplayError(VadError):
    """The engine does not replay what was asked for, and says why. The same request cannot be answered later either."""


class CursorError(VadError):
    """A subscriber's cursor file is none, or cannot be written. Retrying helps once there is room or permission."""

    retryable = True


class EventsLost(VadError):
    """Durable events ``first`` to ``last`` (both included) of ``epoch`` cannot be had any more.

    Raised once for each loss; the subscriber that raised it goes on with what comes after ``last``.
    """

    def __init__(self, epoch: str, first: int, last: int) -> None:
        self.epoch = epoch
        self.first = first
        self.last = last
        super().__init__(f"events {first} to {last} of epoch {epoch} are lost ({last - first + 1})")


class BindError(VadError):
    """An address cannot be bound: taken, malformed or not allowed. Retrying helps once it is free."""

    retryable = True


class KeyFileError(VadError):
    """A key of the bus, or the folder of them, is missing, unreadable or none. Retrying helps once it is mended."""

    retryable = True


class BridgeError(VadError):
    """A bridge could not deliver: nobody answers, or (``answered``) somebody says no. Retrying can always help.

    ``wait_s`` is how long the other side asked us to wait, None if it did not.
    """

    retryable = True

    def __init__(self, message: str, *, answered: bool = False, wait_s: float | None = None) -> None:
        self.answered = answered
        self.wait_s = wait_s
        super().__init__(message)


class EventRefused(BridgeError):
    """The other side says that it will never take this event, and the reason lies in the event. A retry cannot help."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message, answered=True)


class EngineError(VadError):
    """A stage of the engine died of a defect or of the machine: the engine is over, the process ends non-zero."""
