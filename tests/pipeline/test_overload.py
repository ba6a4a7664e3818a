"""The policy of an overloaded machine, on a simulated one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.pipeline.overload import LATE_S, LEAST_RATIO, Demand, Load, Overload, ratios

STEP_S = 0.25


class Machine:
    """Takes ``capacity`` times what all cameras ask for; what it cannot take waits, at most 3 seconds of it."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.backlog_s = 0.0
        self.lost = 0

    def run(self, share: float, seconds: float) -> Load:
        """``backlog_s`` is work waiting, in seconds of this machine."""
        self.backlog_s += (share / self.capacity - 1.0) * seconds
        lost = max(0.0, self.backlog_s - 3.0)
        self.lost += lost > 0.0
        busy = 1.0 if self.backlog_s > 0.0 else share / self.capacity
        self.backlog_s = min(max(self.backlog_s, 0.0), 3.0)
        return Load(lag_s=0.1 + self.backlog_s, lost=int(lost > 0.0), busy=busy)


def simulate(machine: Machine, overload: Overload, *, seconds: float, from_s: float = 0.0) -> list[tuple[float, float]]:
    """(share, lag in seconds) at each step."""
    seen = []
    for i in range(round(seconds / STEP_S)):
        load = machine.run(overload.share, STEP_S)
        seen.append((overload.step(load, now_s=from_s + i * STEP_S), load.lag_s))
    return seen


@pytest.mark.parametrize("capacity", [1.3, 2.0, 10.0])
def test_a_machine_that_keeps_up_analyses_everything(capacity: float) -> None:
    assert {share for share, _ in simulate(Machine(capacity), Overload(), seconds=60.0)} == {1.0}


@pytest.mark.parametrize("capacity", [0.9, 0.6, 0.3, 0.15])
def test_latency_stays_bounded_and_the_machine_is_used(capacity: float) -> None:
    machine, overload = Machine(capacity), Overload()
    simulate(machine, overload, seconds=60.0)
    lost = machine.lost
    later = simulate(machine, overload, seconds=240.0, from_s=60.0)
    shares = [share for share, _ in later]
    assert machine.lost == lost  # once it has found its rate it loses nothing
    assert max(lag for _, lag in later) < LATE_S + 0.5
    assert 0.6 * capacity < sum(shares) / len(shares) <= capacity * 1.01
    assert overload.is_overloaded


def test_it_recovers_when_the_load_is_gone() -> None:
    machine, overload = Machine(0.4), Overload()
    simulate(machine, overload, seconds=60.0)
    assert overload.share < 0.5
    machine.capacity = 3.0
    simulate(machine, overload, seconds=60.0, from_s=60.0)
    assert not overload.is_overloaded


def test_the_rate_does_not_swing() -> None:
    machine, overload = Machine(0.5), Overload()
    simulate(machine, overload, seconds=120.0)
    shares = [share for share, _ in simulate(machine, overload, seconds=120.0, from_s=120.0)]
    assert sum(a != b for a, b in itertools.pairwise(shares)) <= 4


def test_a_single_late_clip_costs_one_step_at_most() -> None:
    overload = Overload()
    overload.step(Load(lag_s=2.0, lost=0, busy=0.3), now_s=0.0)
    share = overload.share
    overload.step(Load(lag_s=2.0, lost=0, busy=0.3), now_s=STEP_S)  # the same clip, still waiting
    assert overload.share == share == 0.8


def test_equal_cameras_are_slowed_alike_and_priority_goes_first() -> None:
    demands = {"a": Demand(8.0, 5), "b": Demand(8.0, 5), "gate": Demand(8.0, 9)}
    shared = ratios(demands, 0.6)
    assert shared["a"] == shared["b"] < shared["gate"] == 1.0
    assert ratios(demands, 1.0) == {"a": 1.0, "b": 1.0, "gate": 1.0}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3), st.builds(Demand, st.floats(0.1, 60.0), st.integers(0, 9)), min_size=1
    ),
    st.floats(LEAST_RATIO, 1.0),
)
def test_the_ratios_share_out_what_there_is(demands: dict[str, Demand], share: float) -> None:
    shared = ratios(demands, share)
    asked = sum(d.analysis_fps for d in demands.values())
    done = sum(demands[name].analysis_fps * ratio for name, ratio in shared.items())
    assert done == pytest.approx(share * asked)
    assert all(LEAST_RATIO - 1e-9 <= ratio <= 1.0 + 1e-9 for ratio in shared.values())
    for a, first in demands.items():
        for b, second in demands.items():
            if first.priority > second.priority:
                assert shared[a] >= shared[b] - 1e-9
