"""An overloaded machine: a network slowed down until the cameras are too many for it, and made quick again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.runners import watch_runners
from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.video.clips import VideoFile
from vad.events import EngineMessage, decode, read_journal
from vad.pipeline.engine import Engine
from vad.pipeline.exposition import encode
from vad.pipeline.window import Thinning
from vad.types import DropReason


def test_cameras_are_slowed_down_by_priority_and_get_their_rate_back(
    tmp_path: Path, video_file: VideoFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = watch_runners(monkeypatch)
    monkeypatch.setattr("vad.pipeline.pacing.STARTING_S", 0.5)
    video = str(video_file("cam.mp4", width=160, height=96, frames=500))
    camera = {"url": video, "loop": True}
    cameras = {"gate": {**camera, "priority": 9}, "yard": camera, "roof": camera, "hall": camera}
    with Engine(make_site(tmp_path, cameras)) as engine:
        wait_for_frames(engine, "roof", 8)
        assert not engine.status().is_overloaded
        runners[0].frame_s = 0.045  # 22 frames a second of the 32 asked for
        wait_for(lambda: engine.status().is_overloaded, what="the overload to be seen")
        wait_for_frames(engine, "roof", 30)
        slowed = engine.status()
        assert b"vad_overload 1" in encode(engine.registry, "")[0]
        wait_for_frames(engine, "roof", 20)
        later = engine.status()
        for name in ("yard", "roof", "hall"):
            assert later.cameras[name].analysis_ratio < 1.0
            assert later.cameras[name].analysis_ratio <= later.cameras["gate"].analysis_ratio
            assert later.cameras[name].frames.dropped[DropReason.OVERLOAD_RATE] > 0
        assert later.cameras["gate"].frames.scored > 1.1 * later.cameras["roof"].frames.scored
        wait_for(lambda: engine.status().cameras["roof"].frames_unfiltered > 0, what="a key frame while behind")
        assert b'vad_frames_unfiltered_total{camera="roof"}' in encode(engine.registry, "")[0]
        check_ledger(engine)
        for name, status in later.cameras.items():  # it loses nothing but what it says
            assert (
                status.frames.dropped[DropReason.OVERLOAD] == slowed.cameras[name].frames.dropped[DropReason.OVERLOAD]
            )
        assert sorted(itertools.islice(reversed(engine._scoring.latencies_s), 100))[90] < 2.0  # type: ignore[union-attr]
        runners[0].frame_s = 0.0
        wait_for(lambda: not engine.status().is_overloaded, what="the recovery")
        assert {camera.analysis_ratio for camera in engine.status().cameras.values()} == {1.0}
        unfiltered = wait_for_frames(engine, "roof", 16).frames_unfiltered  # two seconds: a key frame or two
        assert wait_for_frames(engine, "roof", 16).frames_unfiltered == unfiltered
    check_ledger(engine, stopped=True)
    told = [
        m for m in (decode(stored.body) for stored in read_journal(engine.journal_path)) if isinstance(m, EngineMessage)
    ]
    assert [m.data.state for m in told] == ["overloaded", "recovered"]
    assert told[0].data.share < 1.0 == told[1].data.share


def test_recordings_that_wait_for_room_are_neither_slowed_nor_a_reason_to_slow_others(
    tmp_path: Path, video_file: VideoFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vad.pipeline.pacing.STARTING_S", 0.0)
    video = str(video_file("cam.mp4", width=160, height=96, frames=200))
    cameras = {"live": {"url": video, "loop": True}, "tape": {"url": video, "loop": True, "realtime": False}}
    with Engine(make_site(tmp_path, cameras)) as engine:
        wait_for_frames(engine, "tape", 500)
        wait_for_frames(engine, "live", 16)
        assert not engine.status().is_overloaded
        assert engine.status().cameras["tape"].frames.lost == 0


@given(st.floats(0.01, 1.0), st.integers(1, 8), st.integers(1, 100))
def test_thinning_keeps_the_share_it_is_told_evenly(ratio: float, length: int, clips: int) -> None:
    thinning = Thinning(length)
    kept = [thinning.keeps(index, ratio) for index in range(length * clips)]
    for end in range(length, length * clips + 1, length):
        assert abs(sum(kept[:end]) - ratio * end) < 1.0 + 1e-6
    for begin in range(0, length * clips, length):
        assert kept[begin + length - 1] or not any(kept[begin : begin + length])  # the last of a clip first


def test_a_share_counts_from_the_next_clip_on() -> None:
    thinning = Thinning(4)
    ratios = [1.0, 1.0, 0.25, 0.25, *[0.25] * 4, *[0.5] * 4, *[1.0] * 4]
    assert [index for index, ratio in enumerate(ratios) if thinning.keeps(index, ratio)] == [
        *(0, 1, 2, 3),
        7,
        *(9, 11),
        *(12, 13, 14, 15),
    ]
