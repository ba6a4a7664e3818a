"""Frame labels of a dataset: ``labels.json``, and the checks that it deserves.

A clip's entry is either one 0 or 1 for each frame, or intervals ``[first, last_exclusive]`` of abnormal frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vad.errors import DatasetError

Interval: TypeAlias = tuple[int, int]
Labels: TypeAlias = NDArray[np.bool_]
FORMS = "one 0 or 1 for each frame, or intervals [first, last_exclusive]"


def read_entries(path: Path) -> dict[str, list[Any]]:
    """The raw entry of each clip. Raises DatasetError unless it is a JSON object of lists."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as exc:
        raise DatasetError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text; allowed: JSON") from None
    except json.JSONDecodeError as exc:
        raise DatasetError(f"{path}: line {exc.lineno}, column {exc.colno}: is not JSON: {exc.msg}") from None
    except ValueError as exc:  # from _without_repeats
        raise DatasetError(f"{path}: {exc}") from None
    if not isinstance(entries, dict):
        raise DatasetError(f"{path}: holds a {type(entries).__name__}; allowed: an object of CLIP: {FORMS}")
    for clip, entry in entries.items():
        if not isinstance(entry, list):
            raise DatasetError(f"{path}: clip {clip!r}: got {type(entry).__name__}; allowed: {FORMS}")
    return entries


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice)}: listed twice; allowed: one entry for each clip")
    return entries


def frame_labels(entry: Sequence[Any], *, frames: int, where: str) -> Labels:
    """(frames,) bool, True where abnormal. Raises DatasetError, which begins with ``where``, unless the entry fits."""
    if entry and not isinstance(entry[0], list):
        return _from_flags(entry, frames=frames, where=where)
    labels = np.zeros(frames, np.bool_)
    for first, last in checked_intervals(entry, frames=frames, where=where):
        labels[first:last] = True
    return labels


def _from_flags(entry: Sequence[Any], *, frames: int, where: str) -> Labels:
    for index, flag in enumerate(entry):
        if flag not in (0, 1) or isinstance(flag, float):
            raise DatasetError(f"{where}: frame {index}: got {json.dumps(flag)}; allowed: {FORMS}")
    if len(entry) != frames:
        raise DatasetError(f"{where}: labels of {len(entry)} frames; expected {frames}, as many as the clip has")
    return np.array(entry, np.bool_)


def checked_intervals(entry: Sequence[Any], *, frames: int, where: str) -> list[Interval]:
    """The intervals, ascending. Raises DatasetError for those that are empty, out of range or overlap."""
    intervals = []
    for item in entry:
        whole = isinstance(item, list | tuple) and len(item) == 2 and all(type(value) is int for value in item)
        if not whole:
            raise DatasetError(f"{where}: got {json.dumps(item)}; allowed: {FORMS}")
        first, last = item
        if not 0 <= first < last <= frames:
            raise DatasetError(
                f"{where}: interval [{first}, {last}]; allowed: 0 <= first < last_exclusive <= {frames} (its frames)"
            )
        intervals.append((first, last))
    intervals.sort()
    for before, after in pairwise(intervals):
        if after[0] < before[1]:
            raise DatasetError(
                f"{where}: intervals {list(before)} and {list(after)} overlap; allowed: apart or touching"
            )
    return intervals


def intervals_of(labels: Labels) -> list[Interval]:
    """The stretches of True, ascending, half-open."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], labels, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def with_entry(path: Path, clip: str, intervals: Sequence[Interval]) -> str:
    """The text of the labels file with the clip's entry set, all others as they are; a new one if there is none.

    Raises DatasetError when the file that is there cannot be read.
    """
    entries: dict[str, Any] = read_entries(path) if path.exists() else {}
    entries[clip] = [list(interval) for interval in intervals]
    lines = (f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(entries.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def check_clips_exist(entries: Mapping[str, Any], clips: Sequence[str], *, where: str, split: str) -> None:
    """Raises DatasetError when something is said of a clip that is not there."""
    unknown = sorted(set(entries) - set(clips))
    if unknown:
        there = ", ".join(clips) or "none"
        raise DatasetError(f"{where}: is about {', '.join(unknown)}, not in {split}/; there: {there}")
