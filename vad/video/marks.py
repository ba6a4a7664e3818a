"""Marks of what is abnormal in a clip as CSV, the way spreadsheets and players give them.

The first line names the columns: ``first,last_exclusive`` in frames, or ``start_s,end_s`` in media seconds from the
clip's beginning (frames shown at ``start_s <= t < end_s``). Where both are there, frames count. With a column ``clip``
only the rows of the clip in question are read. Further columns are passed over.
"""

from __future__ import annotations

import csv
import io
import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from vad.errors import DatasetError
from vad.video.labels import Interval, checked_intervals

FRAMES, SECONDS = ("first", "last_exclusive"), ("start_s", "end_s")
SLACK_S = 1e-6  # decimal seconds do not hit a frame's time exactly


def read_marks(path: Path, *, clip: str, times_s: Sequence[float], frame_s: float) -> list[Interval]:
    """The clip's intervals, ascending, checked against its frames. Raises DatasetError with the line at fault.

    ``times_s`` are the frames' media times, ``frame_s`` how long the last one is shown.
    """
    rows, columns = _rows(path)
    kind = FRAMES if set(FRAMES) <= set(columns) else SECONDS
    intervals = []
    for number, row in rows:
        if "clip" in columns and row["clip"].strip() != clip:
            continue
        where = f"{path}: line {number}"
        begin, end = (_number(row[column], where=f"{where}: {column}", whole=kind is FRAMES) for column in kind)
        if kind is SECONDS:
            begin, end = _frames(begin, end, times_s, until_s=times_s[-1] + frame_s, where=where)
        intervals.append([int(begin), int(end)])
        checked_intervals(intervals[-1:], frames=len(times_s), where=where)
    return checked_intervals(intervals, frames=len(times_s), where=str(path))


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """((line number, row) of each row that is not empty, columns)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise DatasetError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text; allowed: CSV") from None
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True, restval="")
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        if not set(FRAMES) <= set(columns) and not set(SECONDS) <= set(columns):
            got = ", ".join(columns) or "nothing"
            raise DatasetError(f"{path}: columns {got}; allowed: {','.join(FRAMES)} or {','.join(SECONDS)}")
        reader.fieldnames = columns
        return [(reader.line_num, row) for row in reader], columns
    except csv.Error as exc:
        raise DatasetError(f"{path}: line {reader.line_num}: is not CSV: {exc}") from None


def _number(text: str, *, where: str, whole: bool) -> float:
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{where}: got {text!r}; allowed: {'a frame number' if whole else 'seconds'}")
    return value


def _frames(start_s: float, end_s: float, times_s: Sequence[float], *, until_s: float, where: str) -> Interval:
    if not (0.0 <= start_s < end_s <= until_s + SLACK_S):
        raise DatasetError(f"{where}: {start_s:g} to {end_s:g} s; allowed: 0 <= start_s < end_s <= {until_s:.3f}")
    first, last = (bisect_left(times_s, at_s - SLACK_S) for at_s in (start_s, end_s))
    if first == last:
        raise DatasetError(f"{where}: no frame is shown from {start_s:g} to {end_s:g} s; allowed: at least one")
    return first, last


def marks_text(clip: str, intervals: Sequence[Interval], *, times_s: Sequence[float], frame_s: float) -> str:
    """The intervals as CSV, in frames and in seconds; ``read_marks`` gives them back."""
    edges_s = [*times_s, times_s[-1] + frame_s]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("clip", *FRAMES, *SECONDS))
    for first, last in intervals:
        writer.writerow((clip, first, last, f"{edges_s[first]:.3f}", f"{edges_s[last]:.3f}"))
    return out.getvalue()
