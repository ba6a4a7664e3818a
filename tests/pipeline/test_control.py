"""Cameras that come, go and change while the engine runs, and nobody else notices."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.events.disks import fill, small_disk
from tests.pipeline.runners import watch_runners
from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.control import RtspServer
from vad.config import CameraConfig, Polygon, SiteConfig
from vad.config.overlay import overlay_lines
from vad.errors import (
    CameraExists,
    CameraNotFound,
    CommandRefused,
    ConfigError,
    OverlayError,
    VadError,
)
from vad.events import AnomalyMessage, CameraMessage, decode, read_journal
from vad.pipeline.engine import Engine
from vad.types import CameraState, FrameScore, Stage

SQUARE = Polygon(points=[(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)])


def site(storage: Path, footage: Path, *names: str, **camera: Any) -> SiteConfig:
    settings = {"url": str(footage), "loop": True, **camera}
    return make_site(storage, dict.fromkeys(names, settings))


def looping(footage: Path, *, budget: float = 1440, **settings: Any) -> CameraConfig:
    return CameraConfig(url=str(footage), loop=True, false_alarms_per_day=budget, **settings)


def messages(engine: Engine, camera: str) -> list[AnomalyMessage | CameraMessage]:
    """What the journal holds of the camera, in order."""
    found = [decode(stored.body) for stored in read_journal(engine.journal_path)]
    return [m for m in found if isinstance(m, AnomalyMessage | CameraMessage) and m.camera == camera]


def states(engine: Engine, camera: str) -> list[str]:
    return [m.data.state for m in messages(engine, camera) if isinstance(m, CameraMessage)]


def closings(engine: Engine, camera: str) -> list[str | None]:
    """Why each incident of the camera closed, once each; fails if one is still open."""
    told = [m.data for m in messages(engine, camera) if isinstance(m, AnomalyMessage)]
    closed = {data.incident: data.close_reason for data in told if data.close_reason}
    assert set(closed) == {data.incident for data in told}
    return list(closed.values())


@pytest.fixture
def hanging_file(tmp_path: Path) -> Iterator[Path]:
    """A pipe that nobody writes to: opening it blocks in the kernel, like a camera driver that has died."""
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    yield path
    for _ in range(20):  # let the abandoned threads go
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        time.sleep(0.02)


def test_a_camera_added_is_watched_and_one_removed_is_no_more(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage, "first")) as engine:
        engine.add_camera("second", looping(footage))
        assert list(engine.cameras()) == ["first", "second"]
        wait_for_frames(engine, "second", 10)
        engine.remove_camera("first")
        assert list(engine.cameras()) == list(engine.status().cameras) == ["second"]
        wait_for_frames(engine, "second", 10)
        engine.remove_camera("second")
        assert engine.cameras() == {}
        assert not engine.wait(timeout_s=1.0)  # an engine without cameras goes on
        engine.add_camera("third", looping(footage))
        wait_for_frames(engine, "third", 5)
        check_ledger(engine)
    check_ledger(engine, stopped=True)
    assert engine.status().cameras["third"].frames.lost == 0
    assert states(engine, "first") == states(engine, "second") == ["up", "stopped"]


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path, footage: Path) -> None:
    config = looping(footage)
    engine = Engine(site(tmp_path, footage, "cam"))
    assert list(engine.cameras()) == ["cam"]  # of the site, before the start
    with pytest.raises(VadError, match="not started"):
        engine.add_camera("other", config)
    with engine:
        with pytest.raises(CameraExists, match="'cam'"):
            engine.add_camera("cam", config)
        with pytest.raises(ConfigError, match="not a camera id"):
            engine.add_camera("no/camera", config)
        for command in (engine.remove_camera, engine.pause_camera, engine.resume_camera, engine.arm_camera):
            with pytest.raises(CameraNotFound, match="'other'"):
                command("other")
        with pytest.raises(CameraNotFound):
            engine.replace_camera("other", config)
        with pytest.raises(CameraNotFound):
            engine.history("other", seconds=60.0)
        assert list(engine.status().cameras) == ["cam"]
        assert not engine.config.storage.cameras_file.exists()
    with pytest.raises(CommandRefused, match="stopping"):
        engine.remove_camera("cam")


def test_removing_closes_the_incident_and_keeps_what_was_learnt(tmp_path: Path, footage: Path) -> None:
    config = make_site(tmp_path, {"cam": {"url": str(footage), "loop": True}}, close_after_s=300.0)
    with Engine(config) as engine:
        wait_for(lambda: engine.status().cameras["cam"].incidents_open == 1, what="an incident")
        engine.remove_camera("cam")
        wait_for(lambda: "stopped" in states(engine, "cam"))
        assert closings(engine, "cam")[-1] == "camera_removed"
        engine.add_camera("cam", looping(footage))
        wait_for_frames(engine, "cam", 1)
        assert engine.status().cameras["cam"].stage is not Stage.COLD
        assert engine.status().cameras["cam"].incidents_opened == 0  # its counts began anew


def test_removing_a_camera_takes_its_metrics_with_it(tmp_path: Path, footage: Path) -> None:
    from vad.pipeline.exposition import encode

    with Engine(site(tmp_path, footage, "cam", "other")) as engine:
        wait_for_frames(engine, "cam", 3)
        assert b'camera="cam"' in encode(engine.registry, "")[0]
        engine.remove_camera("cam")
        page = encode(engine.registry, "")[0]
        assert b'camera="cam"' not in page
        assert b'camera="other"' in page


def test_a_removed_camera_leaves_nothing_in_the_runner(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = watch_runners(monkeypatch)
    with Engine(site(tmp_path, footage, "cam", "other")) as engine:
        wait_for_frames(engine, "cam", 3)
        engine.remove_camera("cam")
        wait_for(lambda: runners[0].forgotten == ["cam"])


def test_a_reader_that_hangs_holds_up_neither_its_removal_nor_the_others(
    tmp_path: Path, footage: Path, hanging_file: Path
) -> None:
    config = make_site(
        tmp_path,
        {"hangs": {"url": str(hanging_file), "read_timeout_s": 60.0}, "cam": {"url": str(footage), "loop": True}},
    )
    with Engine(config) as engine:
        before = wait_for_frames(engine, "cam", 3).frames.scored
        engine.remove_camera("hangs")
        assert list(engine.cameras()) == ["cam"]
        wait_for(lambda: engine.status().cameras["cam"].frames.scored > before + 5)
        engine.add_camera("hangs", looping(footage))
        wait_for_frames(engine, "hangs", 5)
        check_ledger(engine)
    check_ledger(engine, stopped=True)


def test_paused_is_not_read_and_resumed_goes_on_as_a_new_run(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage, "cam", "other")) as engine:
        run = wait_for_frames(engine, "cam", 5).run
        engine.pause_camera("cam")
        paused = engine.status().cameras["cam"]
        assert (paused.state, paused.is_paused, paused.frames.in_flight) == (CameraState.PAUSED, True, 0)
        wait_for_frames(engine, "other", 8)
        assert engine.status().cameras["cam"].frames == paused.frames
        engine.pause_camera("cam")  # said twice is said once
        engine.resume_camera("cam")
        assert wait_for_frames(engine, "cam", 5).run > run
        assert not engine.status().cameras["cam"].is_paused
    assert states(engine, "cam") == ["up", "paused", "up", "stopped"]
    assert states(engine, "other") == ["up", "stopped"]
    check_ledger(engine, stopped=True)


def test_pausing_closes_also_an_incident_that_opens_in_the_last_frames(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = watch_runners(monkeypatch)
    hot = property(lambda score: score.stage is not Stage.COLD and score.health is None)
    config = make_site(tmp_path, {"cam": {"url": str(footage), "loop": True}}, open_after_s=0.0, close_after_s=300.0)
    with Engine(config) as engine:
        wait_for(lambda: engine.status().cameras["cam"].stage is not Stage.COLD)
        monkeypatch.setattr(FrameScore, "is_anomalous", hot)
        wait_for(lambda: engine.status().cameras["cam"].incidents_open == 1, what="an incident")
        runners[0].frame_s = 0.2  # so that some are on their way through the network
        wait_for(lambda: engine.status().cameras["cam"].frames.in_flight > 4)
        engine.pause_camera("cam")
        paused = engine.status().cameras["cam"]
        assert (paused.state, paused.incidents_open) == (CameraState.PAUSED, 0)
    assert closings(engine, "cam")[-1] == "run_ended"


def test_disarmed_is_scored_and_raises_nothing(tmp_path: Path, footage: Path) -> None:
    fast = {"url": str(footage), "loop": True, "realtime": False}
    with Engine(make_site(tmp_path, {"cam": fast}, close_after_s=300.0)) as engine:
        wait_for(lambda: engine.status().cameras["cam"].incidents_open == 1, what="an incident")
        engine.disarm_camera("cam")
        disarmed = engine.status().cameras["cam"]
        assert (disarmed.is_armed, disarmed.incidents_open) == (False, 0)
        later = wait_for_frames(engine, "cam", 200)  # the footage and its anomaly once more
        assert later.incidents_opened == disarmed.incidents_opened
        assert later.judged_s == disarmed.judged_s
        wait_for(lambda: max(score for _, score, _ in engine.history("cam", seconds=60.0).points) > 0.0, what="a score")
        assert engine.status().cameras["cam"].incidents_opened == disarmed.incidents_opened
        engine.arm_camera("cam")
        wait_for(lambda: engine.status().cameras["cam"].incidents_opened > disarmed.incidents_opened)
    assert closings(engine, "cam")[0] == "disarmed"


def test_other_settings_take_effect_without_a_new_run_where_none_is_needed(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage, "cam", realtime=False)) as engine:
        wait_for(lambda: engine.status().cameras["cam"].stage is Stage.CALIBRATED)
        before = engine.status().cameras["cam"]
        engine.replace_camera("cam", looping(footage, zones=[SQUARE], realtime=False, budget=1.44))
        wait_for(lambda: engine.status().cameras["cam"].threshold >= before.threshold + 0.9)
        after = engine.status().cameras["cam"]
        # a thousandth of the budget, and what a young camera may raise beside it
        assert after.threshold <= before.threshold + 3.1
        assert after.stage is Stage.CALIBRATED
        assert after.false_alarms_per_day == 1.44


def test_the_stream_is_opened_anew_only_where_the_settings_ask_for_it(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage, "cam")) as engine:
        run = wait_for_frames(engine, "cam", 3).run
        engine.replace_camera("cam", looping(footage, zones=[SQUARE], budget=5.0))
        assert wait_for_frames(engine, "cam", 5).run == run
        engine.replace_camera("cam", looping(footage, zones=[SQUARE], budget=5.0, analysis_fps=4))
        assert wait_for_frames(engine, "cam", 5).run == run + 1


def test_masks_open_the_stream_anew_and_raise_no_alarm_of_their_own(tmp_path: Path, footage: Path) -> None:
    settings = {"realtime": False, "budget": 20.0}
    fast = looping(footage, **settings)
    with Engine(make_site(tmp_path, {"cam": fast.model_dump()}, left_behind_s=1.0)) as engine:
        before = wait_for_frames(engine, "cam", 200)
        engine.replace_camera("cam", looping(footage, masks=[SQUARE], **settings))
        masked = wait_for_frames(engine, "cam", 200)
        engine.replace_camera("cam", fast)
        bare = wait_for_frames(engine, "cam", 200)
        assert before.run < masked.run < bare.run
        check_ledger(engine)
    raised = [m.data.reasons for m in messages(engine, "cam") if isinstance(m, AnomalyMessage)]
    assert not any("static_change" in reasons for reasons in raised)
    assert set(states(engine, "cam")) == {"up", "stopped"}  # neither covered nor moved


@pytest.mark.rtsp
def test_another_url_is_opened_in_place_of_the_first(
    tmp_path: Path, rtsp_server: Callable[..., RtspServer], clip_h264: Path, clip_hevc: Path
) -> None:
    server = rtsp_server({"one": clip_h264, "two": clip_hevc}, user="me", password="s3cret-1")
    one = CameraConfig(url=server.url("one"), username="me", password="s3cret-1", backoff_min_s=0.1)
    with Engine(make_site(tmp_path, {"cam": {"url": str(tmp_path / "none.mp4"), "backoff_max_s": 0.5}})) as engine:
        wait_for(lambda: engine.status().cameras["cam"].code == "not_found")
        engine.replace_camera("cam", one)
        wait_for_frames(engine, "cam", 5)
        engine.replace_camera("cam", one.model_copy(update={"url": server.url("two")}))
        wait_for_frames(engine, "cam", 5)
        assert engine.status().cameras["cam"].frames.lost == 0
        overlay = engine.config.storage.cameras_file
        assert stat.S_IMODE(overlay.stat().st_mode) == 0o600
        assert "s3cret-1" in overlay.read_text()
        assert "s3cret-1" not in "".join(overlay_lines(engine.config)) + repr(engine.cameras())


def test_everything_is_as_it_was_left_after_a_restart(tmp_path: Path, footage: Path) -> None:
    config = site(tmp_path, footage, "gone", "changed", "paused", "disarmed")
    with Engine(config) as engine:
        engine.remove_camera("gone")
        engine.replace_camera("changed", looping(footage, zones=[SQUARE], analysis_fps=4))
        engine.pause_camera("paused")
        engine.disarm_camera("disarmed")
        engine.add_camera("added", looping(footage, username="me", password="s3cret"))
        left = engine.cameras()
    with Engine(config) as engine:
        assert engine.cameras() == left
        status = engine.status().cameras
        assert set(status) == {"changed", "paused", "disarmed", "added"}
        assert status["paused"].is_paused
        assert not status["disarmed"].is_armed
        assert status["added"].is_armed
        wait_for_frames(engine, "added", 5)
        assert engine.status().cameras["paused"].frames.received == 0
        engine.resume_camera("paused")
        engine.arm_camera("disarmed")
        engine.add_camera("gone", config.cameras["gone"])
        engine.replace_camera("changed", config.cameras["changed"])
        engine.remove_camera("added")
        assert not config.storage.cameras_file.exists()  # all as the site file has it


def test_a_site_without_cameras_runs_on_those_added(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage, "cam")) as engine:
        engine.add_camera("added", looping(footage))
    empty = make_site(tmp_path, {})
    with Engine(empty) as engine:
        assert list(engine.cameras()) == ["added"]
    (tmp_path / "cameras.json").unlink()
    with pytest.raises(ConfigError, match="at least 1"):
        make_site(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"version": 1, "cameras": {', "is damaged"),
        ('{"version": 2}', "version"),
        ('{"version": 1, "kamera": {}}', "kamera: unknown key"),
        ('{"version": 1, "cameras": {"cam": {"analysis_fps": -1}}}', "cameras.cam.analysis_fps: .* greater than 0"),
        ('{"version": 1, "cameras": {"a b": {"url": "x"}}}', "not a camera id"),
        ('{"version": 1, "cameras": {"new": {"url": "rtsp://u:hush@"}}}', "names no host"),
        ("[" * 5000, "is damaged"),
    ],
)
def test_a_broken_overlay_is_said_with_its_name(tmp_path: Path, footage: Path, text: str, told: str) -> None:
    config = site(tmp_path, footage, "cam")
    config.storage.cameras_file.write_text(text)
    with pytest.raises(ConfigError, match=told) as raised:
        Engine(config).start()
    assert str(config.storage.cameras_file) in str(raised.value)
    assert "hush" not in str(raised.value)


def test_changes_to_a_camera_that_the_site_file_has_no_more_are_passed_over(tmp_path: Path, footage: Path) -> None:
    overlay = {"cameras": {"old": {"analysis_fps": 3}}, "removed": ["older"], "paused": ["old"], "disarmed": ["cam"]}
    config = site(tmp_path, footage, "cam")
    config.storage.cameras_file.write_text(json.dumps(overlay))
    assert [line.split(": ", 1)[1] for line in overlay_lines(config)] == [
        "disarmed: cam",
        "of no camera any more: old",
    ]
    with Engine(config) as engine:
        assert list(engine.cameras()) == ["cam"]


def test_a_full_disk_refuses_the_command_and_changes_nothing(tmp_path: Path, footage: Path) -> None:
    with small_disk(tmp_path / "disk", kib=4096) as disk, Engine(site(disk, footage, "cam")) as engine:
        wait_for_frames(engine, "cam", 3)
        ballast = fill(disk)
        before = engine.cameras()
        many = looping(footage, masks=[SQUARE] * 200)  # more than a page that happens to be free
        for command in (
            lambda: engine.add_camera("new", many),
            lambda: engine.replace_camera("cam", many),
        ):
            with pytest.raises(OverlayError, match=r"cameras\.json: .*No space left"):
                command()
        assert engine.cameras() == before
        wait_for_frames(engine, "cam", 3)
        ballast.unlink()
        engine.add_camera("new", looping(footage))
        wait_for_frames(engine, "new", 3)


def test_without_a_thread_to_be_had_an_added_camera_is_refused(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with Engine(site(tmp_path, footage, "cam")) as engine:
        with monkeypatch.context() as limited:
            limited.setattr("vad.pipeline.stream.CameraStream.start", refused)
            with pytest.raises(CommandRefused, match="thread"):
                engine.add_camera("new", looping(footage))
        assert list(engine.cameras()) == ["cam"]
        assert not engine.config.storage.cameras_file.exists()
        engine.add_camera("new", looping(footage))  # nothing was left behind
        wait_for_frames(engine, "new", 3)
        engine.pause_camera("cam")
        with monkeypatch.context() as limited:
            limited.setattr("threading.Thread.start", refused)
            with pytest.raises(CommandRefused, match="waits for a thread"):
                engine.resume_camera("cam")
        wait_for_frames(engine, "cam", 3)  # the watchdog found one


def test_commands_from_many_threads_at_once_all_take_effect(tmp_path: Path, footage: Path) -> None:
    failures: list[BaseException] = []

    def busy(engine: Engine, name: str) -> None:
        try:
            for _ in range(3):
                engine.add_camera(name, looping(footage))
                engine.pause_camera(name)
                engine.disarm_camera(name)
                engine.resume_camera(name)
                engine.replace_camera(name, looping(footage, zones=[SQUARE], analysis_fps=5))
                engine.remove_camera(name)
            engine.add_camera(name, looping(footage))
        except Exception as exc:  # noqa: BLE001  # whatever it is fails the test
            failures.append(exc)

    with Engine(site(tmp_path, footage, "cam")) as engine:
        threads = [threading.Thread(target=busy, args=(engine, f"extra{i}")) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert set(engine.cameras()) == {"cam", *(f"extra{i}" for i in range(6))}
        check_ledger(engine)
        assert engine.status().cameras["cam"].frames.lost == 0
    check_ledger(engine, stopped=True)


def test_a_file_added_keeps_the_engine_going_when_all_have_ended(tmp_path: Path, footage: Path) -> None:
    config = site(tmp_path, footage, "cam", loop=False, realtime=False)
    with Engine(config) as engine:
        engine.add_camera("more", CameraConfig(url=str(footage), realtime=False))
        wait_for(lambda: {c.state for c in engine.status().cameras.values()} == {CameraState.ENDED})
        assert not engine.wait(timeout_s=1.0)
        engine.remove_camera("cam")
        engine.pause_camera("more")
        assert engine.status().cameras["more"].state is CameraState.PAUSED
        engine.resume_camera("more")
        wait_for(lambda: engine.status().cameras["more"].state is CameraState.ENDED)
        check_ledger(engine)
