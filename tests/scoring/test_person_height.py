"""How wide a picture must be for its people to be large enough, by tracks made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.test_scorer import SETTINGS, make_scorer
from tests.scoring.walkers import World
from vad.errors import CalibrationError
from vad.scoring.objects.layer import TrackedObject
from vad.scoring.person_height import LARGE_ENOUGH_PX, LEAST_PEOPLE, LEAST_S, MOST_PEOPLE, PersonHeights
from vad.scoring.scorer import Scorer
from vad.types import Geometry
from vad.video.luma import geometry

FAR_PX = 0.6 * LARGE_ENOUGH_PX
"""Of somebody for whom the picture must be 320 px wide, at 160 px."""

AT_160 = geometry(1920, 1080, model_width=160)
DT_S = 0.125
SHA = "ab" * 32


def walker(
    number: int, height: float, *, at_s: float, left: float = 20.0, top: float = 20.0, width: float = 0.0
) -> TrackedObject:
    """Somebody ``height`` px tall who walks 8 px/s to the right."""
    left += 8.0 * at_s
    right = left + (width or 0.4 * height)
    return TrackedObject(
        number,
        top,
        top + height,
        left,
        right,
        age_s=at_s,
        gap_s=0.0,
        vx=8.0,
        vy=0.0,
        area=height * (right - left),
        fall=0.0,
        agitation=0.0,
    )


def show(people: PersonHeights, *tracks: list[TrackedObject], grid: Geometry = AT_160) -> None:
    for frame in zip(*tracks, strict=True):
        people.step(frame, grid, dt_s=DT_S)
    people.step((), grid, dt_s=DT_S)


def walk(number: int, height: float, *, seconds: float = 6.0, **how: float) -> list[TrackedObject]:
    return [walker(number, height, at_s=k * DT_S, **how) for k in range(round(seconds / DT_S))]


def crowd(people: PersonHeights, heights: list[float], *, seconds: float = LEAST_S, grid: Geometry = AT_160) -> None:
    """Walkers, one after the other, and then nobody until ``seconds`` are over."""
    for number, height in enumerate(heights, start=1):
        show(people, walk(number, height), grid=grid)
    rest = max(0, round((seconds - len(heights) * (6.0 + DT_S)) / DT_S))
    for _ in range(rest):
        people.step((), grid, dt_s=DT_S)


def test_a_panorama_is_wanted_wider_before_anybody_is_seen_and_wider_still_for_small_people() -> None:
    grid = geometry(5120, 1440, model_width=160)
    assert PersonHeights().wanted_width(grid) == 320
    assert PersonHeights().wanted_width(geometry(1920, 1080, model_width=160)) is None
    for height_px, width in ((5.0, 320), (3.5, 480), (2.6, 640), (1.0, 640)):  # at 160 px
        people = PersonHeights()
        crowd(people, [height_px] * LEAST_PEOPLE, seconds=LEAST_S + 1.0, grid=grid)
        assert people.wanted_width(grid) == width
    settled = PersonHeights()
    crowd(settled, [5.0] * LEAST_PEOPLE, grid=grid)
    settled.settle()
    assert settled.wanted_width(grid) is None


@pytest.mark.parametrize(
    ("share", "width"), [(1.5, 160), (1.0, 160), (0.95, 240), (0.675, 240), (0.65, 320), (0.3, 320)]
)
def test_the_width_is_the_least_at_which_people_are_large_enough(share: float, width: int) -> None:
    people, height = PersonHeights(), share * LARGE_ENOUGH_PX
    crowd(people, [height] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    assert people.people == LEAST_PEOPLE
    assert people.height_px(AT_160) == pytest.approx(height)
    assert people.wanted_width(AT_160) == width


def test_it_is_not_known_before_enough_people_and_enough_footage() -> None:
    few, soon = PersonHeights(), PersonHeights()
    crowd(few, [FAR_PX] * (LEAST_PEOPLE - 1), seconds=10 * LEAST_S)
    assert few.wanted_width(AT_160) is None
    show(soon, *(walk(number, FAR_PX, top=20.0 + number) for number in range(1, LEAST_PEOPLE + 1)))
    assert soon.people == LEAST_PEOPLE
    assert soon.wanted_width(AT_160) is None
    crowd(soon, [], seconds=LEAST_S)
    assert soon.wanted_width(AT_160) == 320


@pytest.mark.parametrize(
    ("what", "tracks"),
    [
        ("a car", walk(1, 12.0, width=20.0)),
        ("noise", walk(1, 12.0, seconds=1.4)),
        ("a bush", [replace(t, left=40.0, right=45.0) for t in walk(1, 12.0)]),
        ("one who was lost", [replace(t, gap_s=0.1) for t in walk(1, 12.0)]),
        ("cut off above", walk(1, 12.0, top=0.0)),
        ("cut off below", walk(1, 12.0, top=AT_160.valid_height - 12.0)),
    ],
)
def test_what_is_no_person_or_not_all_of_one_is_not_measured(what: str, tracks: list[TrackedObject]) -> None:
    people = PersonHeights()
    show(people, tracks)
    assert people.people == 0


def test_a_person_counts_once_by_the_median_however_long_it_stays() -> None:
    people = PersonHeights()
    tall = [replace(t, bottom=t.bottom + 30.0 * (k % 5 == 0)) for k, t in enumerate(walk(1, 12.0, seconds=12.0))]
    show(people, tall)
    assert people.people == 1
    people.finish(least_people=1)
    assert people.height_px(AT_160) == pytest.approx(12.0)


def test_numbers_that_begin_anew_are_other_people() -> None:
    people = PersonHeights()
    show(people, walk(1, 12.0) + walk(1, 12.0))
    assert people.people == 2


def test_the_lower_quartile_counts_and_a_width_is_only_revised_upward() -> None:
    people = PersonHeights()
    crowd(people, [1.1 * LARGE_ENOUGH_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    assert people.wanted_width(AT_160) == 160
    crowd(people, [0.7 * LARGE_ENOUGH_PX] * LEAST_PEOPLE)
    assert people.wanted_width(AT_160) == 240
    crowd(people, [2.0 * LARGE_ENOUGH_PX] * 4 * LEAST_PEOPLE)
    assert people.wanted_width(AT_160) == 240


def test_it_holds_at_another_width_of_the_same_source() -> None:
    people, wide = PersonHeights(), geometry(1920, 1080, model_width=240)
    crowd(people, [FAR_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    assert people.wanted_width(wide) == people.wanted_width(AT_160) == 320
    assert people.height_px(wide) == pytest.approx(1.5 * FAR_PX)


@pytest.mark.parametrize(("source", "width"), [(200, 160), (352, 240), (640, 320)])
def test_a_width_that_shows_no_more_of_the_source_is_not_wanted(source: int, width: int) -> None:
    people, grid = PersonHeights(), geometry(source, source // 2, model_width=160)
    crowd(people, [0.3 * LARGE_ENOUGH_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0, grid=grid)
    assert people.wanted_width(grid) == width


def test_what_was_measured_is_saved_and_restored_and_calibrations_without_it_begin_anew() -> None:
    people, other = PersonHeights(), PersonHeights()
    crowd(people, [0.675 * LARGE_ENOUGH_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    other.restore(people.state())
    assert (other.people, other.wanted_width(AT_160)) == (LEAST_PEOPLE, 240)
    crowd(other, [0.4 * LARGE_ENOUGH_PX] * LEAST_PEOPLE)
    assert other.wanted_width(AT_160) == 320
    empty = PersonHeights()
    empty.restore({})
    assert empty.wanted_width(AT_160) is None
    with pytest.raises(CalibrationError, match="heights"):
        empty.restore({"heights": np.zeros(3)})


def test_no_more_is_kept_than_tells_anything() -> None:
    people = PersonHeights()
    crowd(people, [15.0] * (MOST_PEOPLE + 5))
    assert people.people == MOST_PEOPLE


def test_a_scorer_measures_people_keeps_them_over_a_restart_and_over_another_grid(tmp_path) -> None:
    scorer, world = make_scorer(), World(seed=2, people=3)
    for cells in world.frames(10.0):
        scorer.step(cells)
    assert (scorer.wanted_width, scorer.person_px) == (None, None)
    crowd(scorer._people, [FAR_PX] * LEAST_PEOPLE, grid=world.geometry)
    wanted, height = scorer.wanted_width, scorer.person_px
    assert wanted == 320
    assert height == pytest.approx(FAR_PX, rel=0.17)
    scorer.save(tmp_path / "cam1.npz", weights_sha256=SHA)
    loaded = Scorer.load(
        tmp_path / "cam1.npz",
        "cam1",
        settings=SETTINGS,
        false_alarms_per_day=2.0,
        analysis_fps=10.0,
        weights_sha256=SHA,
    )
    assert (loaded.wanted_width, loaded.person_px) == (wanted, height)
    source = world.geometry.source_width, world.geometry.source_height
    loaded.begin_at(geometry(*source, model_width=wanted))
    assert loaded.learnt_s == 0.0
    assert loaded.wanted_width == wanted
    loaded.begin_at(geometry(1280, 720, model_width=160))
    assert loaded.wanted_width is None  # another source: other people


def test_what_was_calibrated_by_footage_with_people_keeps_the_width_chosen_for_it() -> None:
    people, alone, other = PersonHeights(), PersonHeights(), PersonHeights()
    crowd(people, [FAR_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    people.settle()
    other.restore(people.state())
    assert (people.wanted_width(AT_160), other.wanted_width(AT_160)) == (None, None)
    alone.settle()  # nobody was seen: the camera may find out
    crowd(alone, [FAR_PX] * LEAST_PEOPLE, seconds=LEAST_S + 1.0)
    assert alone.wanted_width(AT_160) == 320
