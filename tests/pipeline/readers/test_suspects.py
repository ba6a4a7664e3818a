"""Who kills the process that reads it is found by halving, and nobody else stays with it."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.pipeline.readers.suspects import FORGIVE_S, LONGEST_PAUSE_S, Suspects

sites = st.integers(1, 40).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), min_size=1, max_size=3))
)


def deaths_until_alone(size: int, killers: set[int]) -> tuple[Suspects, dict[str, int]]:
    """Let all processes in which a killer is read die until each killer is alone; deaths that each camera saw."""
    suspects, seen, cameras = Suspects(), defaultdict[str, int](int), [f"c{index}" for index in range(size)]
    now_s = 0.0
    while True:
        groups = defaultdict[int, list[str]](list)
        for camera in cameras:
            groups[suspects.group_of(camera, now_s)].append(camera)
        deadly = [group for group in groups.values() if any(f"c{killer}" in group for killer in killers)]
        if all(len(group) == 1 and suspects.deaths(group[0]) for group in deadly):
            return suspects, seen
        for group in deadly:
            now_s += 1.0
            suspects.died(group, now_s)
            for camera in group:
                seen[camera] += 1


@given(sites)
def test_each_killer_is_alone_after_few_deaths_and_no_other_camera_is_held_up(site: tuple[int, set[int]]) -> None:
    size, killers = site
    suspects, seen = deaths_until_alone(size, killers)
    most = math.ceil(math.log2(size)) + 1
    assert max(seen.values()) <= most
    for index in set(range(size)) - killers:
        assert suspects.deaths(f"c{index}") == 0
        assert suspects.pause_s(f"c{index}", 50.0) == 0.0
    assert suspects.alone(50.0) == len(killers)


def test_who_dies_alone_again_and_again_waits_longer_and_longer() -> None:
    suspects, waits = Suspects(), []
    for _ in range(8):
        suspects.died(["a"], 10.0)
        waits.append(suspects.pause_s("a", 10.0))
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert suspects.pause_s("a", 10.0 + LONGEST_PAUSE_S) == 0.0


def test_who_hangs_is_alone_at_once() -> None:
    suspects = Suspects()
    suspects.hung("a", 0.0)
    assert suspects.group_of("a", 1.0) != 0
    assert suspects.group_of("b", 1.0) == 0
    assert (suspects.deaths("a"), suspects.pause_s("a", 0.0)) == (1, 0.0)


def test_what_has_lived_for_long_is_forgiven() -> None:
    suspects = Suspects()
    suspects.died(["a", "b"], 0.0)
    suspects.died(["a"], 100.0)
    assert suspects.group_of("b", FORGIVE_S + 1.0) == 0
    assert suspects.group_of("a", FORGIVE_S + 1.0) != 0
    assert suspects.group_of("a", 101.0 + FORGIVE_S) == 0
    assert suspects.alone(101.0 + FORGIVE_S) == 0


def test_a_process_that_read_nobody_accuses_nobody() -> None:
    suspects = Suspects()
    suspects.died([], 0.0)
    assert suspects.alone(0.0) == 0


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_halves_are_read_apart(count: int) -> None:
    suspects = Suspects()
    cameras = [f"c{index}" for index in range(count)]
    suspects.died(cameras, 0.0)
    groups = [suspects.group_of(camera, 0.0) for camera in cameras]
    assert sorted(groups.count(number) for number in set(groups)) == [count // 2, count - count // 2]
