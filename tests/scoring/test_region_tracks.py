"""Which object a region shows: the same number for as long as it is followed, from the scorer to the wire."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.objects_pictures import film, walking
from tests.scoring.test_saving import SHA, load
from tests.scoring.test_scorer import make_scorer
from tests.scoring.walkers import GEOMETRY, Body, World
from vad.config import ScoringSettings
from vad.events.messages import durable_message
from vad.events.schema import AnomalyMessage, decode, encode
from vad.scoring.incidents import Incidents, merge_regions
from vad.scoring.objects.layer import ObjectLayer, TrackedObject
from vad.scoring.places import regions_of, track_of
from vad.types import FrameScore, Region

CELLS = np.array([2.0, 2.0, 6.0, 4.0, 9.0])  # top, left, bottom, right, score: 32 by 16 px from (16, 16)


def tracked(number: int, top: float, bottom: float, left: float, right: float, **changes: float) -> TrackedObject:
    box = {"top": top, "bottom": bottom, "left": left, "right": right}
    rest = {"age_s": 2.0, "gap_s": 0.0, "vx": 0.0, "vy": 0.0, "area": 100.0, "fall": 0.0, "agitation": 0.0}
    return TrackedObject(id=number, **{**box, **rest, **changes})


PERSON = tracked(3, 18.0, 46.0, 17.0, 30.0)


@pytest.mark.parametrize(
    ("objects", "track"),
    [
        ([], None),
        ([PERSON], 3),
        ([replace(PERSON, gap_s=0.1)], None),  # not seen now
        ([replace(PERSON, age_s=0.3)], None),  # may be anything yet
        ([replace(PERSON, left=60.0, right=73.0)], None),
        ([replace(PERSON, left=29.0, right=42.0)], None),  # a quarter of it at most
        ([tracked(1, 20.0, 24.0, 20.0, 24.0), PERSON], 3),  # the one that covers more of it
        ([tracked(1, 0.0, 90.0, 0.0, 90.0), replace(PERSON, top=16.0, bottom=48.0, left=16.0, right=32.0)], 3),
        ([PERSON, tracked(1, 0.0, 90.0, 0.0, 15.0)], 3),
    ],
)
def test_the_object_of_a_region_covers_it_is_seen_now_and_was_followed(objects, track) -> None:
    assert track_of(CELLS, objects) == track


def test_regions_without_an_object_have_no_track() -> None:
    heat = np.zeros(GEOMETRY.cells, np.float32)
    heat[2:6, 2:4] = 9.0
    heat[8:10, 12:14] = 8.0
    regions = regions_of(GEOMETRY, heat, 9.0, 5.0, objects=[PERSON])
    assert [region.track for region in regions] == [3, None]
    assert [region.track for region in regions_of(GEOMETRY, heat, 9.0, 5.0)] == [None, None]


def test_regions_that_are_united_keep_the_object_of_the_stronger() -> None:
    weak, strong = Region(0.1, 0.1, 0.3, 0.3, 6.0, 4), Region(0.12, 0.1, 0.32, 0.3, 8.0, 5)
    for order in ([weak, strong], [strong, weak]):
        assert [region.track for region in merge_regions(order)] == [5]
        assert [region.track for region in merge_regions([replace(one, track=None) for one in order])] == [None]
    assert [region.track for region in merge_regions([weak, replace(strong, track=None)])] == [4]


def numbers_of(layer: ObjectLayer, **options) -> list[int]:
    return [one.id for cells in film([[box] for box in walking(15)], **options) for one in layer.step(cells).tracks]


def test_no_number_is_given_twice_in_a_run_whatever_is_begun_anew() -> None:
    layer = ObjectLayer(12, 20)
    first = set(numbers_of(layer, run=1))
    assert 1 in first
    layer.begin_look()
    second = set(numbers_of(layer, run=1))
    assert second
    assert min(second) > max(first)
    other = ObjectLayer(12, 20, counted=layer.counted)  # on another grid
    third = set(numbers_of(other, run=1))
    assert min(third) > max(second)
    assert 1 in numbers_of(other, run=2)


def test_another_calibration_in_mid_run_goes_on_counting(tmp_path) -> None:
    scorer, world = make_scorer(), World(seed=1, people=2)
    world.level_ground()
    for cells in world.frames(20.0):
        scorer.step(cells)
    scorer.save(tmp_path / "cam1.npz", weights_sha256=SHA)
    other = load(tmp_path / "cam1.npz")
    other.count_on(scorer)
    newest = scorer._cues.objects.counted[1]
    for cells in world.frames(1.0):
        other.step(cells)
    assert other._cues.objects.tracks
    assert min(one.id for one in other._cues.objects.tracks) >= newest > 1


def flagged(scores: list[FrameScore]) -> list[int]:
    return [region.track for score in scores if score.is_anomalous for region in score.regions[:1] if region.track]


def test_an_object_that_is_followed_keeps_its_number_on_the_wire() -> None:
    scorer, world = make_scorer(false_alarms_per_day=1440.0), World(seed=1, people=2)
    world.level_ground()
    for cells in world.frames(60.0):
        scorer.step(cells)
    world.bodies.append(Body(x=5.0, y=70.0, vx=42.0, bounces=False))
    incidents = Incidents("cam1", settings=ScoringSettings(open_after_s=0.5, update_every_s=1.0))
    scores = [scorer.step(cells) for cells in world.frames(2.5)]
    events = [event for score in scores for event in incidents.step(score)] + incidents.close("shutdown")
    (number, times), *_ = Counter(flagged(scores)).most_common()
    assert times >= 5
    bodies = [encode(durable_message(event, epoch="0" * 32, sequence=1)) for event in events]
    told = [{region.get("track") for region in json.loads(body)["data"]["regions"]} for body in bodies]
    assert len(told) >= 3
    assert all(number in tracks for tracks in told), (number, told)
    message = decode(bodies[0])
    assert isinstance(message, AnomalyMessage)
    assert number in [region.track for region in message.data.regions]
