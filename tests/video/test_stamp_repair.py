"""Stamps that cannot be true: single outliers, stamps that stand still, stamps at another rate than time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from av import Packet

from vad.types import ClockFault
from vad.video.patience import Patience
from vad.video.stamp_repair import NEW_TIMELINE_PACKETS, STANDS_S, StampRepair

FPS = 25.0
TICKS = 90_000


def mended(
    stamps_s: list[float], *, read_s: Callable[[int], float] = lambda index: 100.0 + index / FPS
) -> tuple[StampRepair, list[float]]:
    """The repair after packets with these stamps, and the stamps that they left with."""
    repair, left = StampRepair(), []
    for index, stamp_s in enumerate(stamps_s):
        packet: Any = Packet(b"x")
        packet.time_base = Fraction(1, TICKS)
        packet.pts = packet.dts = round(stamp_s * TICKS)
        repair.mend(packet, read_s=read_s(index), is_fresh=True)
        assert packet.pts == packet.dts
        left.append(packet.pts / TICKS)
    return repair, left


def rising(count: int, *, begin_s: float = 0.0, fps: float = FPS) -> list[float]:
    return [begin_s + index / fps for index in range(count)]


def test_right_stamps_are_left_alone() -> None:
    stamps_s = rising(100, begin_s=12.0)
    repair, left = mended(stamps_s)
    assert left == pytest.approx(stamps_s, abs=1e-4)
    assert (repair.outliers, repair.fault, repair.ratio) == (0, None, None)


@pytest.mark.parametrize("off_s", [-9800.0, -1.0, 7.0, 30_000.0])
@pytest.mark.parametrize("in_a_row", [1, NEW_TIMELINE_PACKETS - 1])
def test_a_few_stamps_far_off_follow_their_predecessors(off_s: float, in_a_row: int) -> None:
    stamps_s = rising(200)
    wrong = [index for index in range(50, 200, 50) for index in range(index, index + in_a_row)]
    repair, left = mended([s + off_s * (index in wrong) for index, s in enumerate(stamps_s)])
    assert left == pytest.approx(stamps_s, abs=1e-3)
    assert repair.outliers == len(wrong)


def test_outliers_each_at_another_place_are_no_new_timeline() -> None:
    stamps_s = rising(100)
    wrong = {40: 5_000.0, 41: -3_000.0, 42: 900.0, 43: 12_000.0}
    repair, left = mended([s + wrong.get(index, 0.0) for index, s in enumerate(stamps_s)])
    assert left == pytest.approx(stamps_s, abs=1e-3)
    assert repair.outliers == len(wrong)


@pytest.mark.parametrize("off_s", [-50.0, 600.0])
def test_a_jump_that_persists_is_left_to_the_run(off_s: float) -> None:
    """Two packets late, which go on from their predecessors."""
    stamps_s = [*rising(100), *rising(100, begin_s=4.0 + off_s)]
    repair, left = mended(stamps_s)
    jumps = [index for index, (before, after) in enumerate(pairwise(left), 1) if not 0.0 < after - before < 1.0]
    assert jumps == [100 + NEW_TIMELINE_PACKETS - 1]
    assert left[-1] == pytest.approx(stamps_s[-1], abs=1e-3)
    assert repair.outliers == 0


def test_a_pause_that_took_place_is_neither_outlier_nor_jump() -> None:
    stamps_s = [*rising(50), *rising(50, begin_s=62.0)]
    repair, left = mended(stamps_s, read_s=lambda index: 100.0 + stamps_s[index])
    assert left == pytest.approx(stamps_s, abs=1e-4)
    assert repair.outliers == 0


def test_stamps_that_stand_still_are_replaced_by_arrival() -> None:
    repair, left = mended([3.0] * 250)
    assert repair.fault is ClockFault.NO_CLOCK
    found = round(STANDS_S * FPS) + 1
    assert left[:found] == [3.0] * found
    steps_s = [after - before for before, after in pairwise(left[found + 1 :])]
    assert steps_s == pytest.approx([1.0 / FPS] * len(steps_s), abs=1e-3)
    assert left[-1] - left[0] == pytest.approx(249 / FPS, abs=0.1)  # the second until it was found has passed, too


def test_stamps_in_coarse_steps_do_not_stand_still() -> None:
    repair, left = mended([index // 5 * 0.2 for index in range(250)])
    assert repair.fault is None
    assert left[-1] == pytest.approx(249 // 5 * 0.2, abs=1e-3)


@pytest.mark.parametrize("ratio", [25 / 15, 21 / 25, 1.05])
def test_a_clock_at_another_rate_is_found_and_scaled(ratio: float) -> None:
    rng = np.random.default_rng(0)
    late_s = rng.exponential(0.05, 5_000)
    repair, left = mended(
        [index / FPS * ratio for index in range(5_000)], read_s=lambda index: 100.0 + index / FPS + late_s[index]
    )
    assert repair.fault is ClockFault.RATE
    assert repair.ratio == pytest.approx(ratio, rel=0.01)
    assert left[-1] - left[-501] == pytest.approx(500 / FPS, rel=0.01)


def test_a_clock_that_was_mended_is_believed_again() -> None:
    wrong = [index / FPS * 1.5 for index in range(2_500)]
    repair, left = mended([*wrong, *rising(2_000, begin_s=wrong[-1] + 1 / FPS)])
    assert repair.fault is None
    assert left[-1] - left[-501] == pytest.approx(500 / FPS, rel=1e-3)


def test_a_pause_does_not_mend_a_clock() -> None:
    """Little is known after it, and what was known still holds."""
    count, pause_s, ratio = 3_500, 60.0, 1.5
    read_s = [100.0 + index / FPS + pause_s * (index >= 2_500) for index in range(count)]
    repair, left = mended([ratio * (at_s - 100.0) for at_s in read_s], read_s=read_s.__getitem__)
    assert repair.fault is ClockFault.RATE
    assert left[-1] - left[-501] == pytest.approx(500 / FPS, rel=0.01)


def test_a_network_that_holds_packets_up_for_a_while_is_no_wrong_clock() -> None:
    rng = np.random.default_rng(0)
    held_s = np.maximum(0.0, 4.0 * np.sin(np.arange(10_000) / FPS / 40.0)) + rng.exponential(0.05, 10_000)
    repair, _ = mended(rising(10_000), read_s=lambda index: 100.0 + index / FPS + held_s[index])
    assert repair.fault is None


def test_a_recording_that_is_sent_fast_is_no_wrong_clock() -> None:
    repair, left = mended([index / FPS * 8.0 for index in range(5_000)])
    assert repair.fault is None
    assert left[-1] == pytest.approx(4_999 / FPS * 8.0, abs=1e-3)


def test_a_camera_may_be_silent_four_times_as_long_as_it_usually_is() -> None:
    patience = Patience(10.0)
    for index in range(20):
        patience.note(100.0 + index / FPS)
    assert (patience.timeout_s, patience.extra_s) == (10.0, 0.0)
    for index in range(1, 10):
        patience.note(101.0 + 8.0 * index)
    assert patience.timeout_s == pytest.approx(32.0)
    assert patience.extra_s == pytest.approx(22.0)
