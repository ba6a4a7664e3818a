"""What is left out of a live stream whose frames wait for a reader that is too slow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vad.video.backlog import BEHIND_FOR_S, MOST_BEHIND_S, Backlog

FPS, GROUP = 25.0, 50


def run(
    arrives_s: Callable[[float], float],
    *,
    seconds: float,
    cost_s: float = 0.002,
    skip_s: float = 0.0005,
    group: int = GROUP,
) -> tuple[Backlog, list[float], list[int]]:
    """A camera whose frame of media time t reaches the machine at ``arrives_s(t)``, and a reader that takes ``cost_s``
    to decode one and ``skip_s`` to leave one out. How late each frame decoded was; the numbers of those left out.
    """
    backlog, now_s, late_s, left_out = Backlog(), 0.0, [], []
    for number in range(int(seconds * FPS)):
        pts_s = number / FPS
        now_s = max(now_s, arrives_s(pts_s))
        if backlog.leaves_out(pts_s, arrived_s=now_s, is_key=bool(group) and number % group == 0):
            left_out.append(number)
            now_s += skip_s
            continue
        backlog.note(pts_s, arrived_s=now_s)
        late_s.append(now_s - arrives_s(pts_s))
        now_s += cost_s
    assert backlog.left_out == len(left_out)
    return backlog, late_s, left_out


def test_a_reader_that_is_quick_enough_leaves_nothing_out() -> None:
    _, late_s, left_out = run(lambda t: t + 0.1 * (int(7 * t) % 3), seconds=60.0, cost_s=0.03)
    assert left_out == []
    assert max(late_s) < 0.5


@pytest.mark.parametrize("cost_s", [0.045, 0.08, 0.12])
def test_a_reader_that_is_too_slow_stays_within_seconds(cost_s: float) -> None:
    _, late_s, left_out = run(lambda t: t, seconds=600.0, cost_s=cost_s)
    assert max(late_s) < MOST_BEHIND_S + BEHIND_FOR_S + 1.0
    assert late_s[-1] < MOST_BEHIND_S + BEHIND_FOR_S
    stretches = [n for n in left_out if n - 1 not in left_out]
    ends = [n + 1 for n in left_out if n + 1 not in left_out]
    assert len(stretches) > 1
    assert all(end % GROUP == 0 for end in ends[:-1])  # decoding begins again with a key frame
    shed = len(left_out) / (600.0 * FPS)
    assert shed < 1.2 * (1.0 - 1.0 / (FPS * cost_s)) + 0.02  # no more than the reader is too slow by


def test_what_the_network_held_up_is_read_at_once_and_kept() -> None:
    _, late_s, left_out = run(lambda t: max(t, 40.0) if 25.0 < t < 40.0 else t, seconds=80.0)
    assert left_out == []
    assert max(late_s) < 2.0


def test_a_camera_whose_clock_drifts_is_believed_for_days() -> None:
    _, _, left_out = run(lambda t: 1.0003 * t, seconds=20_000.0)
    assert left_out == []


def test_a_camera_whose_stamps_are_too_slow_loses_one_stretch_and_no_more() -> None:
    _, _, left_out = run(lambda t: 1.02 * t, seconds=3_600.0)
    assert len(left_out) <= FPS + GROUP


def test_without_key_frames_nothing_is_left_out() -> None:
    for group in (0, 10**9):
        _, _, left_out = run(lambda t: t, seconds=120.0, cost_s=0.08, group=group)
        assert left_out == []


def test_packets_without_a_time_follow_the_others() -> None:
    backlog = Backlog()
    assert not backlog.leaves_out(None, arrived_s=100.0, is_key=True)
    assert backlog.left_out == 0
