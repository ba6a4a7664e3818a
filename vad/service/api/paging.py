"""Cursors: where a page goes on. An event's id, but that is nobody's business."""

from __future__ import annotations

from vad.events.archive import Archive
from vad.service.api.problems import Problem


def cursor_after(epoch: str, sequence: int) -> str:
    return f"{epoch}-{sequence}"


def beyond(archive: Archive, cursor: str | None, *, newest_first: bool) -> int | None:
    """The sequence that a page goes on from. Raises Problem 410 where what follows is kept no more."""
    if cursor is None:
        return None
    epoch, _, number = cursor.rpartition("-")
    sequence, first = int(number), archive.first_sequence
    if epoch != archive.epoch:
        raise _gone("the journal has begun a new epoch since: what the cursor points into is kept no more", cursor)
    if first > 1 and (sequence <= first if newest_first else sequence + 1 < first):
        raise _gone(f"the events that follow are forgotten; the oldest kept is {first}", cursor)
    return sequence


def _gone(detail: str, cursor: str) -> Problem:
    return Problem(410, detail, kind="cursor-gone", what="cursor", got=cursor, allowed="no cursor: the newest page")
