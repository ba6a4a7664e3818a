"""What is normal for a camera, from its own footage: learnt once, used by scan and engine from the first frame on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import vad
from tests.pipeline.sites import make_site, wait_for_frames
from tests.video.clips import VideoFile
from vad.config import CameraConfig, ScoringSettings, load_config
from vad.errors import CalibrationError, ConfigError, StreamError
from vad.model import load_weights
from vad.model.runner import Runner
from vad.pipeline.calibrate import Calibration, calibrate
from vad.pipeline.engine import Engine
from vad.pipeline.judge import Judge, calibration_path, restore
from vad.pipeline.scan import Scan
from vad.scoring.scorer import Scorer
from vad.types import Stage
from vad.video.synthetic import Layout, Scene, encode

CAMERA = CameraConfig(url="any", analysis_fps=8.0)
SHA = load_weights("base").card.sha256


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(load_weights("base"), device="cpu")


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two recordings of the street of ``footage``, on which no vehicle comes."""
    folder = tmp_path_factory.mktemp("normal")
    paths = [folder / "1.mp4", folder / "2.mp4"]
    for path, seconds in zip(paths, (20.0, 10.0), strict=True):
        encode(Scene(seed=7, fps=12.5, layout=Layout.LANES), path, seconds=seconds)
    return paths


@pytest.fixture(scope="module")
def calibration(normal: list[Path], runner: Runner) -> Calibration:
    return calibrate([str(path) for path in normal], camera=CAMERA, runner=runner)


@pytest.fixture(scope="module")
def file(calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "street.npz"
    calibration.scorer.save(path, weights_sha256=SHA)
    return path


def test_all_footage_is_learnt_from(calibration: Calibration) -> None:
    assert calibration.frames == pytest.approx(30 * 8, abs=3)
    assert calibration.seconds == pytest.approx(30.0, abs=0.5)
    assert calibration.scorer.stage is Stage.CALIBRATED


def test_a_scan_with_it_is_calibrated_from_the_first_frame(file: Path, footage: Path) -> None:
    camera = CameraConfig(url="x", calibration=file)
    scores = list(vad.scan(footage, camera=camera))
    assert scores[0].stage is Stage.CALIBRATED
    assert next(iter(vad.scan(footage))).stage is Stage.COLD


def test_the_vehicle_that_normal_footage_does_not_show_stands_out(file: Path, footage: Path) -> None:
    """It comes at 7 s of a street that is otherwise the one learnt from."""
    scores = list(vad.scan(footage, camera=CameraConfig(url="x", calibration=file)))
    before = [score.score for score in scores if score.pts_s < 6.5]
    after = [score.score for score in scores if 7.5 < score.pts_s < 11.0]
    assert max(after) > max(before)


def test_footage_of_another_size_is_refused_before_anything_is_learnt(
    normal: list[Path], runner: Runner, video_file: VideoFile
) -> None:
    small = video_file("small.mp4", width=320, height=240, frames=10)
    with pytest.raises(CalibrationError, match=r"small.mp4: 320x240, but .*1.mp4 is 640x360; allowed: footage of one"):
        calibrate(
            [str(normal[0]), str(small)],
            camera=CAMERA,
            runner=runner,
            tell=lambda done_s, total_s: pytest.fail("learnt from"),
        )


def test_footage_that_cannot_be_read_is_refused(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(StreamError):
        calibrate([str(tmp_path / "none.mp4")], camera=CAMERA, runner=runner)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(os.urandom(4000))
    with pytest.raises(StreamError):
        calibrate([str(broken)], camera=CAMERA, runner=runner)
    with pytest.raises(CalibrationError, match=r"rtsp://camera/1: a live camera .* allowed: recorded footage"):
        calibrate(["rtsp://user:secret@camera/1"], camera=CAMERA, runner=runner)


def test_a_scan_of_another_size_says_so(file: Path, video_file: VideoFile) -> None:
    small = video_file("small.mp4", width=320, height=240, frames=50)
    with pytest.raises(CalibrationError, match="picture is 320x240, its calibration is for 640x360"):
        list(vad.scan(small, camera=CameraConfig(url="x", calibration=file)))


def judge_with(directory: Path, **camera: Any) -> Judge:
    config, settings = CameraConfig(url="x", **camera), ScoringSettings()
    judge = Judge.create("cam1", config=config, settings=settings)
    restore(judge, directory, config=config, settings=settings, sha256=SHA)
    return judge


def own_calibration(directory: Path, footage: Path, runner: Runner) -> Path:
    """What a camera has learnt that has seen little: it is still cold."""
    judge = Judge.create("cam1", config=CAMERA, settings=ScoringSettings())
    for _ in zip(range(20), Scan(footage, camera=CAMERA, name="cam1", runner=runner, judge=judge), strict=False):
        pass
    path = calibration_path(directory, "cam1")
    judge.scorer.save(path, weights_sha256=SHA)
    return path


def test_the_newer_of_the_cameras_own_and_the_given_calibration_is_used(
    file: Path, footage: Path, runner: Runner, tmp_path: Path
) -> None:
    assert judge_with(tmp_path).scorer.stage is Stage.COLD
    assert judge_with(tmp_path, calibration=file).scorer.stage is Stage.CALIBRATED
    own = own_calibration(tmp_path, footage, runner)
    at_s = file.stat().st_mtime
    os.utime(own, (at_s + 10, at_s + 10))
    assert judge_with(tmp_path, calibration=file).scorer.stage is Stage.COLD
    os.utime(own, (at_s - 10, at_s - 10))
    assert judge_with(tmp_path, calibration=file).scorer.stage is Stage.CALIBRATED


def test_when_its_own_is_of_no_use_the_given_one_is_used(file: Path, tmp_path: Path) -> None:
    calibration_path(tmp_path, "cam1").write_text("cut short")
    assert judge_with(tmp_path, calibration=file).scorer.stage is Stage.CALIBRATED


def test_a_given_calibration_made_with_other_weights_ends_the_start(
    calibration: Calibration, footage: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.npz"
    calibration.scorer.save(foreign, weights_sha256="ab" * 32)
    site = make_site(tmp_path / "data", {"cam1": {"url": str(footage), "calibration": str(foreign)}})
    with pytest.raises(CalibrationError, match="weights sha256"):
        Engine(site).start()


def test_the_engine_begins_with_it_and_goes_on_with_its_own(file: Path, footage: Path, tmp_path: Path) -> None:
    cameras = {"cam1": {"url": str(footage), "loop": True, "calibration": str(file)}}
    site = make_site(tmp_path, cameras, warming_after_s=500.0, calibrated_after_s=900.0)
    with Engine(site) as engine:
        assert wait_for_frames(engine, "cam1", 1).stage is Stage.CALIBRATED
    own = calibration_path(tmp_path / "calibration", "cam1")
    settings = {"settings": ScoringSettings(), "false_alarms_per_day": 2.0, "analysis_fps": 8.0}
    assert Scorer.load(own, "cam1", weights_sha256=SHA, **settings).stage is Stage.CALIBRATED
    with pytest.raises(CalibrationError, match="camera is 'cam1'; allowed: 'cam2'"):
        Scorer.load(own, "cam2", weights_sha256=SHA, **settings)


def test_a_calibration_that_is_not_there_is_a_fault_of_the_site_file(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("cameras:\n  gate:\n    url: a.mp4\n    calibration: nowhere.npz\n")
    with pytest.raises(ConfigError, match=r"calibration .nowhere\.npz. is not a file"):
        load_config(site)
