"""The width at which a camera's picture is analysed: chosen by the people seen, once, or fixed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.video.clips import VideoFile
from vad.config import CameraConfig
from vad.errors import CalibrationError
from vad.model import load_weights
from vad.model.runner import Runner
from vad.pipeline import cameras, scoring
from vad.pipeline.calibrate import calibrate
from vad.pipeline.choose_width import Choice, Look, begin_width, choose_width, width_of
from vad.pipeline.engine import Engine
from vad.pipeline.judge import calibration_path
from vad.pipeline.scan import Scan
from vad.scoring import person_height, storage
from vad.types import Stage
from vad.video.luma import geometry
from vad.video.synthetic import Scene, encode

PEOPLE_PX = 11.0
"""A quarter of the people of ``small_people`` are lower than about that at 160 px."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The people of ``small_people`` are large enough at 320 px and not at 240."""
    monkeypatch.setattr(person_height, "LARGE_ENOUGH_PX", 1.8 * PEOPLE_PX)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(load_weights("base"), device="cpu")


@pytest.fixture(scope="module")
def small_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of 640x360 with people far from the camera."""
    path = tmp_path_factory.mktemp("footage") / "small.mp4"
    encode(Scene(seed=3, fps=10.0), path, seconds=20.0)
    return path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What cameras and scoring log; and an engine that needs little footage to choose."""
    monkeypatch.setattr(person_height, "LEAST_S", 10.0)
    monkeypatch.setattr(person_height, "LEAST_PEOPLE", 3)
    lines: list[dict[str, Any]] = []

    def note(event: str, **values: Any) -> None:
        lines.append({"event": event, **values})

    for module in (cameras, scoring):
        monkeypatch.setattr(module, "log", SimpleNamespace(info=note, warning=note, error=note))
    return lines


def engine_of(storage: Path, footage: Path, **camera: Any) -> Engine:
    settings = {"url": str(footage), "loop": True, "realtime": False, **camera}
    return Engine(make_site(storage, {"cam": settings}))


def chosen(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in told if line["event"] == "camera.width_chosen"]


def width(engine: Engine) -> int | None:
    return engine.status().cameras["cam"].analysed_width


def test_a_panorama_is_reopened_wider_at_once_and_begins_so_after_a_restart(
    tmp_path: Path, video_file: VideoFile, told: list[dict[str, Any]]
) -> None:
    path = video_file("panorama.mp4", width=1280, height=360, frames=100)
    with engine_of(tmp_path, path) as engine:
        wait_for(lambda: width(engine) == 320, what="a wider picture")
        wait_for_frames(engine, "cam", 100)
        check_ledger(engine)
    assert [line["width"] for line in chosen(told)] == [320]
    told.clear()
    with engine_of(tmp_path, path) as engine:
        wait_for_frames(engine, "cam", 100)
        assert width(engine) == 320
    assert not chosen(told)


def test_a_recording_of_a_panorama_is_analysed_wider(video_file: VideoFile, runner: Runner) -> None:
    path = video_file("panorama.mp4", width=1280, height=360, frames=25)
    assert choose_width([Look(CameraConfig(url=str(path)))], runner=runner).width == 320


def test_a_camera_of_small_people_is_reopened_wider_once_and_stays_so_over_a_restart(
    tmp_path: Path, small_people: Path, told: list[dict[str, Any]]
) -> None:
    with engine_of(tmp_path, small_people) as engine:
        wait_for(lambda: width(engine) == 160)
        wait_for(lambda: width(engine) == 320, what="a wider picture")
        wait_for(lambda: engine.status().cameras["cam"].stage is not Stage.COLD)
        wait_for_frames(engine, "cam", 300)
        assert width(engine) == 320
        check_ledger(engine)
    check_ledger(engine, stopped=True)
    assert engine.status().cameras["cam"].frames.lost == 0
    (line,) = told
    assert line["event"] == "camera.width_chosen"
    assert (line["camera"], line["width"]) == ("cam", 320)
    assert 0.0 < line["person_px"] < person_height.LARGE_ENOUGH_PX / 1.5
    meta, _ = storage.load(calibration_path(tmp_path / "calibration", "cam"))
    assert (meta["geometry"]["pool"], meta["geometry"]["width"]) == (2, 320)
    with engine_of(tmp_path, small_people) as engine:
        wait_for_frames(engine, "cam", 30)
        assert width(engine) == 320
        assert engine.status().cameras["cam"].stage is not Stage.COLD  # nothing is learnt twice
    assert told == [line]


@pytest.mark.parametrize("how", [{"model_width": 160}, {"loop": False}], ids=["fixed", "played once"])
def test_a_width_is_kept_where_it_is_fixed_and_where_a_recording_would_begin_again(
    tmp_path: Path, small_people: Path, told: list[dict[str, Any]], how: dict[str, Any]
) -> None:
    with engine_of(tmp_path, small_people, **how) as engine:
        judge = engine._running_cameras.member("cam").watch.judge
        wait_for(lambda: judge.scorer.wanted_width == 320)
        engine._running_cameras.widen()
        wait_for(lambda: engine.status().cameras["cam"].frames.scored > 150)
        assert width(engine) == 160
    assert chosen(told) == []


def test_another_width_takes_effect_when_it_is_set(tmp_path: Path, small_people: Path) -> None:
    with engine_of(tmp_path, small_people, model_width=160) as engine:
        wait_for(lambda: width(engine) == 160)
        engine.replace_camera("cam", engine.cameras()["cam"].model_copy(update={"model_width": 320}))
        wait_for(lambda: width(engine) == 320)
        engine.replace_camera("cam", engine.cameras()["cam"].model_copy(update={"model_width": "auto"}))
        wait_for_frames(engine, "cam", 5)
        assert width(engine) == 320  # what it has learnt is of that width
        engine.pause_camera("cam")
        engine.resume_camera("cam")
        wait_for_frames(engine, "cam", 5)
        assert width(engine) == 320


def test_the_width_of_a_recording_is_chosen_before_it_is_judged(small_people: Path, runner: Runner) -> None:
    look = Look(CameraConfig(url=str(small_people)))
    choice = choose_width([look], runner=runner)
    assert choice.width == 320
    assert choice.people >= 3
    assert choice.person_px == pytest.approx(PEOPLE_PX, abs=4.0)
    assert choose_width([Look(look.camera, until_s=1.0)], runner=runner) == Choice(160, 0, None)
    assert choose_width([Look(CameraConfig(url="rtsp://camera/1"))], runner=runner) == Choice(160, 0, None)
    assert choose_width([Look(CameraConfig(url="none.mp4"))], runner=runner) == Choice(160, 0, None)


def test_a_scan_says_and_keeps_its_width(small_people: Path, runner: Runner) -> None:
    for setting, analysed in (("auto", 320), (160, 160), (240, 213)):
        scan = Scan(small_people, camera=CameraConfig(url="x", model_width=setting), runner=runner)
        scores = [score for score, _ in zip(scan, range(20), strict=False)]
        assert {score.frame.geometry.valid_width for score in scores} == {analysed}
        assert scan.model_width == (320 if setting == "auto" else setting)


def test_a_calibration_brings_its_width_and_is_refused_at_another_one(
    tmp_path: Path, small_people: Path, runner: Runner
) -> None:
    learnt = calibrate([str(small_people)], camera=CameraConfig(url="x", model_width=160), runner=runner)
    assert learnt.model_width == 160
    file = tmp_path / "small.npz"
    learnt.scorer.save(file, weights_sha256=runner.card.sha256)
    scan = Scan(small_people, camera=CameraConfig(url="x", calibration=file), runner=runner)
    assert next(iter(scan)).stage is Stage.CALIBRATED
    assert scan.model_width == 160
    wide = Scan(small_people, camera=CameraConfig(url="x", calibration=file, model_width=320), runner=runner)
    with pytest.raises(CalibrationError, match="analysed 320 px wide, its calibration is for 160 px"):
        list(wide)


@pytest.mark.parametrize("source", [(640, 360), (1920, 1080), (352, 288), (200, 100), (4096, 2160)])
def test_a_camera_begins_at_the_width_set_or_learnt_or_that_of_the_weights(source: tuple[int, int]) -> None:
    assert begin_width("auto", learnt=None, own=160) == 160
    assert begin_width(240, learnt=geometry(*source, model_width=320), own=160) == 240
    for width in (160, 200, 240, 320):
        learnt = geometry(*source, model_width=width)
        begun = begin_width("auto", learnt=learnt, own=160)
        assert begun == width_of(learnt, own=160)
        assert geometry(*source, model_width=begun) == learnt
