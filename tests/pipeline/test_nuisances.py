"""What was left out of a score is said once, and again only after hours."""

from __future__ import annotations

import math

from tests.scoring.walkers import make_frame
from vad.pipeline.nuisances import AGAIN_S, Nuisances
from vad.types import CameraEvent, FrameScore, Geometry, Nuisance, Stage

GEOMETRY = Geometry(source_width=64, source_height=48, pool=1, width=64, height=48)
STEP_S = 0.5


def said(kinds: list[Nuisance | None], *, run: int = 1) -> list[CameraEvent]:
    """Of so many frames half a second apart."""
    nuisances, events = Nuisances("yard"), []
    for k, kind in enumerate(kinds):
        frame = make_frame(GEOMETRY, run=run, index=k, pts_s=k * STEP_S)
        score = FrameScore(frame, 0.0, math.inf, 1.0, Stage.WARMING, nuisance=kind)
        events += nuisances.step(score)
    return events


def test_what_lasts_a_second_is_said_once():
    (event,) = said([None, *[Nuisance.LIGHT] * 40])
    assert event.state == "nuisance"
    assert event.detail.startswith("light:")
    assert event.code is None


def test_a_single_frame_is_nobodys_business():
    assert said([None, Nuisance.LIGHT, *[None] * 200, Nuisance.LIGHT, None]) == []


def test_several_short_ones_within_a_minute_are_said():
    assert len(said([None, *([Nuisance.UNSTEADY] + [None] * 9) * 6])) == 1


def test_each_kind_is_said_for_itself():
    kinds = [None, *[Nuisance.LIGHT] * 5, *[Nuisance.UNSTEADY] * 5]
    assert [event.detail.split(":")[0] for event in said(kinds)] == ["light", "unsteady"]


def test_it_is_said_again_after_hours():
    frames = round(AGAIN_S / STEP_S)
    assert len(said([None, *[Nuisance.LIGHT] * (frames + 20)])) == 2
