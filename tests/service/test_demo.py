"""The demo: whose anomaly an event is, what a scene's clips show, and one scene from films to summary."""

from __future__ import annotations

import errno
import io
import os
import re
from functools import cache

import pytest
import typer
from rich.console import Console

from tests.events.factory import anomaly
from tests.service.test_cli import vad
from vad.cli.live import demo
from vad.events import AnomalyMessage
from vad.events.messages import durable_message
from vad.service.demo import run_scene
from vad.service.demo.outcome import GRACE_AFTER_S, GRACE_BEFORE_S, Labelled, Outcome
from vad.service.demo.scenes import SEED, Clip, Cutting, cut
from vad.video.worlds import TRAINING_SEEDS, World, WorldKind, open_world

FALL = Labelled("care-1", "fall", 20.0, 25.0)
LYING = Labelled("care-2", "lying", 30.0, 40.0)


def opened(camera: str, at_s: float) -> AnomalyMessage:
    message = durable_message(anomaly(camera=camera, pts_s=at_s), epoch="e", sequence=1)
    assert isinstance(message, AnomalyMessage)
    return message


@cache
def world(*, anomalies: bool = True) -> World:
    return open_world(WorldKind.CARE, seed=SEED, anomalies=anomalies)


def clips_of(cutting: Cutting) -> list[Clip]:
    return cut(WorldKind.CARE, world().planted[:5], fps=world().fps, cutting=cutting)


def test_an_event_is_right_only_at_the_camera_and_time_of_an_anomaly() -> None:
    outcome = Outcome([FALL, LYING])
    assert outcome.match(opened("care-1", 22.0)) is FALL
    assert outcome.match(opened("care-2", 35.0)) is LYING
    assert outcome.match(opened("care-2", 22.0)) is None
    assert outcome.match(opened("care-1", FALL.start_s - GRACE_BEFORE_S)) is FALL
    assert outcome.match(opened("care-1", FALL.end_s + GRACE_AFTER_S)) is FALL
    assert outcome.match(opened("care-1", FALL.end_s + GRACE_AFTER_S + 0.1)) is None


def test_an_anomaly_is_caught_once_and_what_belongs_to_none_is_a_false_alarm() -> None:
    elsewhere = opened("care-2", 22.0)
    outcome = Outcome([FALL, LYING], [opened("care-1", 20.5), opened("care-1", 24.0), elsewhere])
    assert outcome.several_cameras
    assert (outcome.caught, outcome.missed, outcome.false_alarms) == ([FALL], [LYING], [elsewhere])


def test_scenes_are_shown_from_a_training_seed() -> None:
    assert SEED in TRAINING_SEEDS


def test_each_clip_holds_its_anomaly_and_normal_life_before_it() -> None:
    cutting = Cutting()
    clips = clips_of(cutting)
    assert [clip.label.camera for clip in clips] == [f"care-{number}" for number in range(1, 6)]
    for clip, planted in zip(clips, world().planted, strict=False):
        assert clip.label.kind == planted.kind
        assert clip.start_s + clip.label.start_s == pytest.approx(planted.start_s)
        assert clip.start_s + clip.label.end_s == pytest.approx(min(planted.end_s, clip.start_s + clip.seconds))
        assert clip.label.start_s == pytest.approx(cutting.before_s, abs=1.0 / world().fps)
        shown_s = min(planted.end_s - planted.start_s, cutting.longest_s)
        assert clip.seconds == pytest.approx(clip.label.start_s + shown_s + cutting.after_s)


def test_frames_of_a_clip_bear_a_label_where_its_truth_says_so() -> None:
    clip = clips_of(Cutting())[0]
    start = round(clip.start_s * world().fps)
    seen = [bool(frame.labels) for frame in world().frames(round(clip.seconds * world().fps), start=start)]
    first, last = seen.index(True), len(seen) - 1 - seen[::-1].index(True)
    assert first / world().fps == pytest.approx(clip.label.start_s)
    assert (last + 1) / world().fps >= clip.label.end_s - 1e-6


def test_what_is_learnt_from_ends_before_the_clip_and_holds_no_anomaly() -> None:
    calm = world(anomalies=False)
    assert calm.planted == ()
    for clip in clips_of(Cutting()):
        learnt_from_s = clip.start_s - clip.learnt_s
        assert clip.learnt_s == Cutting().learnt_s
        assert all(one.end_s <= learnt_from_s or one.start_s >= clip.start_s for one in world().planted)
        for share in (0.0, 0.5, 1.0):
            assert not calm.render(round((learnt_from_s + share * clip.learnt_s) * calm.fps)).labels


def test_a_scene_that_is_not_offered_is_refused_with_those_that_are() -> None:
    done = vad("demo", "--scene", "moon")
    assert done.returncode == 2
    assert "got 'moon'; allowed: street, shop, yard, care, line" in done.stderr


def test_a_full_disk_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(**options: object) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vad.service.demo.run_demo", fails)
    with pytest.raises(typer.Exit) as ended:
        demo()
    assert ended.value.exit_code == 2
    assert "No space left on device; allowed: 50 MB of room" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_scene_plays_its_anomalies_as_cameras_of_one_engine() -> None:
    written = io.StringIO()
    console = Console(file=written, width=200)
    cutting = Cutting(before_s=6.0, longest_s=6.0, after_s=4.0, learnt_s=40.0)
    caught = run_scene(WorldKind.CARE, most=2, cutting=cutting, console=console)
    said = written.getvalue()
    assert "2 cameras play in real time" in said
    figures = re.search(r"caught (\d) of 2 anomalies, (\d+) false alarms?", said)
    assert figures is not None, said
    assert caught == (int(figures[1]) > 0)
    assert said.count("missed: ") == 2 - int(figures[1])
    verdicts = re.findall(
        r"^ +[\d.]+ s  care-[12] .*  score +[\d.]+ over [\d.]+  \((right: fall|false alarm)\)$", said, re.M
    )
    assert verdicts.count("false alarm") == int(figures[2])
    assert len(verdicts) == said.count(" over ")
    frames = round(2 * 8 * (cutting.before_s + cutting.longest_s + cutting.after_s))
    assert f"frames: {frames} received = {frames} scored + 0 dropped" in said
