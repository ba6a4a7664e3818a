"""Who comes and stays is not left behind; what he puts down is. Where somebody stood, nothing was taken away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.scoring.objects_pictures import Shape, film, lowering, walking
from vad.scoring.objects.layer import ObjectLayer

TOP = 48.0
"""Of a person of 32 x 18 px, whom the still parts may be of."""

NOBODY: Shape = (-40.0, -30.0, 0.0, 1.0)


def left(shapes: Sequence[Sequence[Shape]], layer: ObjectLayer | None = None) -> list[float]:
    """How long something has stood, each frame."""
    layer = layer or ObjectLayer(12, 20)
    return [float(layer.step(cells).left.max()) for cells in film(shapes)]


def test_who_walks_in_and_stands_is_not_left_behind():
    stays = walking(40, top=TOP) + [walking(40, top=TOP)[-1]] * 200
    assert max(left([[NOBODY]] * 30 + [[one] for one in stays])) < 1.0


def test_who_walks_in_and_sits_down_is_not_left_behind():
    way = walking(40, top=TOP)
    seated = lowering(12, x=way[-1][2], to=58.0, wide=20.0, top=TOP)
    stays = [*way, *[way[-1]] * 10, *seated, *[seated[-1]] * 200]
    assert max(left([[NOBODY]] * 30 + [[one] for one in stays])) < 2.0


@pytest.mark.parametrize("empty", [30, 120])
@pytest.mark.parametrize("steps", [17, 21, 29, 40])
def test_who_lies_where_he_walked_counts(steps: int, empty: int):
    way = walking(steps, top=TOP)
    down = lowering(8, x=way[-1][2], to=70.0, wide=44.0, top=TOP)
    stays = [*way, *[way[-1]] * 10, *down, *[down[-1]] * 120]
    assert max(left([[NOBODY]] * empty + [[one] for one in stays])) > 6.0


@pytest.mark.parametrize("pushed", [5.0, 8.0, 12.0])
def test_a_bag_that_is_pushed_a_little_counts(pushed: float):
    way = walking(40, top=TOP)
    x = way[-1][2] + 26.0
    gone = walking(50, x=way[-1][2], speed=-2.4, top=TOP)
    people = [*way, *[way[-1]] * 30, *gone, *[NOBODY] * 150]
    push = [(66.0, 80.0, x + pushed * t / 8.0, x + 16.0 + pushed * t / 8.0) for t in range(9)]
    bags = [NOBODY] * 45 + [(66.0, 80.0, x, x + 16.0)] * 10 + push
    bags += [push[-1]] * (len(people) - len(bags))
    shapes = [[NOBODY, NOBODY]] * 120 + [[one, other] for one, other in zip(people, bags, strict=True)]
    assert left(shapes)[-1] > 8.0


def test_a_thing_that_is_taken_by_who_came_out_beside_it_counts():
    layer = ObjectLayer(12, 20)
    box = (62.0, 80.0, 100.0, 118.0)
    comes_out = [(TOP, 80.0, 84.0, 102.0)] * 15
    gone = walking(60, x=84.0, speed=-2.4, top=TOP)
    people = [*comes_out, *gone, *[NOBODY] * 80]
    boxes = [box] * 12 + [NOBODY] * (len(people) - 12)
    shapes = [[NOBODY, box]] * 1000 + [[one, other] for one, other in zip(people, boxes, strict=True)]
    assert left(shapes, layer)[-1] > 5.0


def test_what_somebody_puts_down_counts_though_he_came_by_himself():
    way = walking(40, top=TOP)
    bag = (66.0, 80.0, way[-1][2] + 22.0, way[-1][2] + 38.0)
    gone = walking(50, x=way[-1][2], speed=-2.4, top=TOP)
    people = [*way, *[way[-1]] * 20, *gone, *[NOBODY] * 100]
    bags = [NOBODY] * 45 + [bag] * (len(people) - 45)
    shapes = [[NOBODY, NOBODY]] * 30 + [[one, other] for one, other in zip(people, bags, strict=True)]
    assert left(shapes)[-1] > 8.0


def test_where_somebody_stood_until_he_was_background_nothing_is_taken_away():
    layer = ObjectLayer(12, 20)
    there = (TOP, 80.0, 70.0, 88.0)
    stood = [[there]] * 1000
    found = left(stood + [[one] for one in walking(60, x=70.0, speed=1.4, top=TOP)] + [[NOBODY]] * 100, layer)
    assert np.max(found[1000:]) < 3.0


def test_what_is_taken_away_by_somebody_who_came_for_it_counts():
    layer = ObjectLayer(12, 20)
    box = (62.0, 80.0, 100.0, 118.0)
    way = walking(55, x=-20.0, top=TOP)
    back = walking(60, x=way[-1][2], speed=-2.4, top=TOP)
    people = [*way, *[way[-1]] * 10, *back, *[NOBODY] * 80]
    boxes = [box] * 60 + [NOBODY] * (len(people) - 60)
    shapes = [[NOBODY, box]] * 1000 + [[one, other] for one, other in zip(people, boxes, strict=True)]
    assert left(shapes, layer)[-1] > 5.0


def test_a_bag_that_was_hidden_by_who_stands_before_it_counts_once_he_has_gone():
    way = walking(40, top=TOP)
    bag = (66.0, 80.0, way[-1][2] + 1.0, way[-1][2] + 17.0)
    gone = walking(50, x=way[-1][2], speed=-2.4, top=TOP)
    people = [*way, *[way[-1]] * 20, *gone, *[NOBODY] * 100]
    bags = [NOBODY] * 45 + [bag] * (len(people) - 45)
    shapes = [[NOBODY, NOBODY]] * 30 + [[one, other] for one, other in zip(people, bags, strict=True)]
    assert left(shapes)[-1] > 8.0
