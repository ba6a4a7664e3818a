"""When packets came: as soon after their stamps as the quickest lately, whenever they were read."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from av import Packet

from vad.clock import ManualClock
from vad.types import WallSource
from vad.video import arrival
from vad.video.arrival import Arrival, Arrivals

Report = Callable[..., tuple[Arrivals, Arrival]]

FPS = 25
INTERVAL_S = 1.0 / FPS


def packet_of(index: int) -> Any:
    packet: Any = Packet(b"x")
    packet.time_base = Fraction(1, 90_000)
    packet.pts = packet.dts = round(index * 90_000 / FPS)
    return packet


def arrivals_of(read_s: list[float], *, stamped: bool = True, live: bool = True) -> list[Arrival]:
    """Of one packet every 40 ms, which are read at these times."""
    clock = ManualClock(wall_s=1.7e9)
    arrivals = Arrivals(clock, live=live, stamped=stamped, tolerance_s=5.0)
    noted = []
    for index, at_s in enumerate(read_s):
        clock.advance(at_s - clock.monotonic_s())
        noted.append(arrivals.note(packet_of(index)))
    return noted


def test_packets_that_waited_are_dated_by_their_stamps() -> None:
    """They are read twelve at a time; the last of each dozen is waited for."""
    read_s = [10.0 + INTERVAL_S * (12 * (index // 12) + 11) for index in range(48)]
    arrived = arrivals_of(read_s)
    assert [one.read_s for one in arrived] == pytest.approx(read_s)
    came_s = [one.arrived_s for one in arrived[12:]]
    assert came_s == pytest.approx([10.0 + INTERVAL_S * index for index in range(12, 48)])
    assert arrived[0].arrived_s == read_s[0]  # nothing is known of the first ones yet
    for one in arrived:
        assert one.wall_s == pytest.approx(1.7e9 + one.arrived_s, abs=1e-3)
        assert one.wall_source is WallSource.ARRIVAL


def test_never_later_than_read_and_never_before_the_one_before() -> None:
    read_s = [index * INTERVAL_S + (0.3 if index % 7 < 3 else 0.0) + 0.1 for index in range(100)]
    read_s = [max(read_s[: index + 1]) for index in range(100)]
    arrived = arrivals_of(read_s)
    for before, one in pairwise(arrived):
        assert before.arrived_s <= one.arrived_s <= one.read_s


def test_a_longer_way_is_believed_after_a_few_seconds() -> None:
    read_s = [index * INTERVAL_S + (0.0 if index < 50 else 0.5) for index in range(300)]
    arrived = arrivals_of(read_s)
    assert arrived[60].read_s - arrived[60].arrived_s == pytest.approx(0.5)
    assert arrived[-1].read_s - arrived[-1].arrived_s == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("settings", [{"stamped": False}, {"live": False}])
def test_what_is_stamped_by_nobody_or_recorded_comes_when_it_is_read(settings: dict[str, bool]) -> None:
    read_s = [0.1, 0.1, 0.1, 0.5, 0.5, 0.5]
    assert [one.arrived_s for one in arrivals_of(read_s, **settings)] == pytest.approx(read_s)


@pytest.fixture
def reporting(monkeypatch: pytest.MonkeyPatch) -> Report:
    """One packet of a camera that reports a time of day so far from this machine's."""

    def report(off_s: float, *, tolerance_s: float = 5.0) -> tuple[Arrivals, Arrival]:
        monkeypatch.setattr(arrival, "sender_wall_s", lambda _: 1.7e9 + off_s)
        arrivals = Arrivals(ManualClock(wall_s=1.7e9), live=True, stamped=True, tolerance_s=tolerance_s)
        return arrivals, arrivals.note(packet_of(0))

    return report


@pytest.mark.parametrize("off_s", [-4.9, 0.0, 4.9])
def test_a_camera_whose_clock_is_nearly_right_is_believed(off_s: float, reporting: Report) -> None:
    arrivals, noted = reporting(off_s)
    assert (noted.wall_source, noted.wall_s) == (WallSource.RTCP, pytest.approx(1.7e9 + off_s))
    assert arrivals.skew_s == pytest.approx(off_s, abs=1e-3)
    assert not arrivals.is_wrong


@pytest.mark.parametrize("off_s", [-1.7e9, -5.1, 3600.0])
def test_a_camera_whose_clock_is_wrong_is_not(off_s: float, reporting: Report) -> None:
    arrivals, noted = reporting(off_s)
    assert (noted.wall_source, noted.wall_s) == (WallSource.ARRIVAL, 1.7e9)
    assert arrivals.skew_s == pytest.approx(off_s, abs=1e-3)
    assert arrivals.is_wrong


def test_the_tolerance_is_the_operators(reporting: Report) -> None:
    assert reporting(60.0, tolerance_s=120.0)[1].wall_source is WallSource.RTCP
