"""Whoever kills or hangs what reads it is soon alone, and nobody else for long."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vad.pipeline.readers.suspects import FORGIVE_S, LONGEST_PAUSE_S, MOST_GROUPS, POOL, Suspects

NAMES = [f"cam{number}" for number in range(16)]
sites = st.integers(2, 16).flatmap(lambda size: st.tuples(st.just(NAMES[:size]), st.integers(0, size - 1)))


def together(suspects: Suspects, cameras: list[str], one: str) -> list[str]:
    """Who is read by the process that ``one`` is read by: there is one of the pool."""
    return [camera for camera in cameras if suspects.group(camera) == suspects.group(one)]


def let_kill(suspects: Suspects, cameras: list[str], killer: str, *, now_s: float = 0.0) -> list[str]:
    """Its process dies; who was there."""
    there = together(suspects, cameras, killer)
    suspects.died(there, now_s)
    return there


@given(sites)
def test_whichever_kills_is_alone_after_the_logarithm_of_their_number(site: tuple[list[str], int]) -> None:
    cameras, number = site
    killer, suspects, deaths = cameras[number], Suspects(), 0
    while together(suspects, cameras, killer) != [killer]:
        let_kill(suspects, cameras, killer)
        deaths += 1
    assert deaths <= math.ceil(math.log2(len(cameras)))
    assert suspects.deaths(killer) == 0  # it may have been any of those that were there
    for _ in range(50):
        assert let_kill(suspects, cameras, killer) == [killer]
    assert suspects.deaths(killer) == 50
    assert all(suspects.deaths(camera) == 0 for camera in cameras if camera != killer)
    assert killer in suspects.alone


@given(st.permutations(NAMES), st.lists(st.booleans(), min_size=80, max_size=80))
def test_two_that_kill_are_soon_alone_in_whatever_order(cameras: list[str], order: list[bool]) -> None:
    first, second, *good = cameras
    suspects, harmed = Suspects(), 0
    for is_first in [*order, *[True] * 10, *[False] * 10]:
        there = let_kill(suspects, cameras, first if is_first else second)
        harmed += len(there) > 1
    assert harmed <= 2 * math.ceil(math.log2(len(cameras)))
    for killer in (first, second):
        assert together(suspects, cameras, killer) == [killer]
    assert all(suspects.pause_s(camera) == 0.0 for camera in good)


@given(st.lists(st.integers(0, 39), min_size=1, max_size=300), st.integers(1, 40))
def test_groups_are_few_whatever_happens(events: list[int], killers: int) -> None:
    cameras, suspects = [f"cam{number}" for number in range(40)], Suspects()
    for number in events:
        if number < killers:
            let_kill(suspects, cameras, cameras[number])
        else:
            suspects.hung(cameras[number], 0.0)
        groups = {suspects.group(camera) for camera in cameras} - {POOL}
        assert len(groups) <= MOST_GROUPS
        assert all(suspects.has(group) for group in groups)
        assert all(0.0 <= suspects.pause_s(camera) <= LONGEST_PAUSE_S for camera in cameras)


def test_the_pause_of_one_that_kills_doubles_and_is_capped() -> None:
    suspects, pauses = Suspects(), []
    for _ in range(8):
        suspects.died(["a"], 0.0)
        pauses.append(suspects.pause_s("a"))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert suspects.pause_s("b") == 0.0


def test_those_who_cannot_be_told_apart_wait_too_in_the_end() -> None:
    """More killers than there may be groups: processes must not be started all the time."""
    suspects = Suspects()
    for _ in range(20):
        suspects.died(["a", "b"], 0.0)
    assert suspects.pause_s("a") == LONGEST_PAUSE_S


def test_one_that_hangs_is_alone_at_once_and_the_others_where_they_were() -> None:
    suspects = Suspects()
    suspects.died(["a", "b", "c", "d"], 0.0)
    suspects.hung("a", 1.0)
    assert suspects.group("a") not in {POOL, suspects.group("b")}
    assert suspects.group("c") == suspects.group("d")
    assert suspects.alone == ["a"]
    group = suspects.group("a")
    suspects.hung("a", 2.0)
    assert suspects.group("a") == group
    assert suspects.pause_s("a") == 0.0


def forgiven_after_s(harm: Callable[[Suspects], None], camera: str) -> float:
    suspects = Suspects()
    harm(suspects)
    for seconds in range(0, 100_000, 100):
        suspects.forgive(float(seconds))
        if suspects.group(camera) == POOL:
            assert suspects.deaths(camera) == 0
            return float(seconds)
    return math.inf


def test_bystanders_are_forgiven_soon_and_one_that_is_known_late() -> None:
    def repeat(times: int) -> Callable[[Suspects], None]:
        def harm(suspects: Suspects) -> None:
            for _ in range(times):
                suspects.died(["a"], 0.0)

        return harm

    assert forgiven_after_s(lambda suspects: suspects.died(["a", "b", "c", "d"], 0.0), "a") == FORGIVE_S
    assert forgiven_after_s(lambda suspects: suspects.hung("a", 0.0), "a") == 4 * FORGIVE_S
    assert [forgiven_after_s(repeat(times), "a") for times in (1, 2, 3, 9)] == [2400.0, 9600.0, 38_400.0, 86_400.0]


def test_a_group_is_forgiven_as_a_whole() -> None:
    suspects = Suspects()
    suspects.died(["a", "b", "c", "d"], 0.0)
    suspects.died(["a", "b"], 500.0)
    suspects.forgive(FORGIVE_S)
    assert [suspects.group(camera) == POOL for camera in "abcd"] == [False, False, True, True]
    suspects.forgive(500.0 + FORGIVE_S)
    assert [suspects.group(camera) for camera in "ab"] == [POOL, POOL]


def test_one_that_was_removed_is_forgotten() -> None:
    suspects = Suspects()
    suspects.died(["a"], 0.0)
    suspects.forget("a")
    suspects.forget("b")
    assert (suspects.group("a"), suspects.alone) == (POOL, [])


def test_a_process_that_read_nothing_makes_nobody_a_suspect() -> None:
    suspects = Suspects()
    suspects.died([], 0.0)
    assert suspects.alone == []


@given(sites, st.integers(0, 15))
def test_one_that_had_just_come_is_tried_alone_first(site: tuple[list[str], int], new: int) -> None:
    cameras, number = site
    killer, newcomer = cameras[number], cameras[new % len(cameras)]
    suspects, deaths = Suspects(), 0
    while together(suspects, cameras, killer) != [killer]:
        there = together(suspects, cameras, killer)
        suspects.died(there, 0.0, likely=newcomer if newcomer in there else None)
        deaths += 1
    assert deaths <= (1 if killer == newcomer else 1 + math.ceil(math.log2(len(cameras))))


def test_it_is_not_tried_again_while_it_is_suspected() -> None:
    suspects = Suspects()
    suspects.died(NAMES[:8], 0.0)
    suspects.died(NAMES[:4], 0.0, likely=NAMES[0])
    assert suspects.group(NAMES[0]) == suspects.group(NAMES[1]) != suspects.group(NAMES[2])
