"""How long packets may wait, by what the frames before have shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.frames import make_frame
from vad.video.naps import EARLY_S, LONGEST_S, MOST_WAITING_BYTES, SHORTEST_S, Naps

LENGTH = 4


def naps_of(
    *, fps: float, bytes_per_s: float, looked_at_s: float = 0.0, late_s: float = 0.0, frames: int = 16
) -> list[float]:
    """After each frame of a camera whose frames are looked at ``looked_at_s`` after they came."""
    naps = Naps(LENGTH)
    given = []
    for index in range(frames):
        at_s = index / fps
        frame = replace(make_frame(index=index, fps=fps), arrived_s=at_s)
        given.append(naps.after(frame, bytes_read=int(bytes_per_s * at_s), now_s=at_s + looked_at_s, late_s=late_s))
    return given


def test_nothing_waits_until_a_whole_clip_has_shown_the_rates() -> None:
    given = naps_of(fps=8.0, bytes_per_s=10_000.0)
    assert given[: 2 * LENGTH - 1] == [0.0] * (2 * LENGTH - 1)
    assert given[2 * LENGTH - 1] > 0.0


def test_the_last_frame_of_a_clip_is_waited_for() -> None:
    given = naps_of(fps=8.0, bytes_per_s=10_000.0)
    until_last_s = [(LENGTH - (index + 1) % LENGTH) / 8.0 for index in range(16)]
    for nap_s, left_s in zip(given[8:], until_last_s[8:], strict=True):
        assert nap_s == 0.0 or nap_s == pytest.approx(min(LONGEST_S, left_s - EARLY_S))
        assert nap_s == 0.0 or nap_s >= SHORTEST_S


@pytest.mark.parametrize(("bytes_per_s", "longest_s"), [(1e3, LONGEST_S), (1e5, 0.33), (3e5, 0.11), (1e6, 0.0)])
def test_a_camera_is_not_kept_from_sending(bytes_per_s: float, longest_s: float) -> None:
    given = naps_of(fps=2.0, bytes_per_s=bytes_per_s)
    assert max(given) <= longest_s
    assert max(given) * bytes_per_s <= MOST_WAITING_BYTES


def test_who_is_late_does_not_sleep() -> None:
    assert set(naps_of(fps=8.0, bytes_per_s=10_000.0, looked_at_s=0.04)) == {0.0}


def test_nor_who_has_been_late_for_so_long_that_it_looks_timely() -> None:
    assert set(naps_of(fps=8.0, bytes_per_s=10_000.0, late_s=2.0)) == {0.0}
    assert naps_of(fps=8.0, bytes_per_s=10_000.0, late_s=0.1) == naps_of(fps=8.0, bytes_per_s=10_000.0)


def test_frames_that_come_faster_than_a_nap_is_worth_are_read_as_they_come() -> None:
    assert set(naps_of(fps=60.0, bytes_per_s=10_000.0)) == {0.0}
