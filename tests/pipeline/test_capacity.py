"""How many cameras a machine holds, measured on this one."""

from __future__ import annotations

import pytest

from vad.config import CameraConfig, ModelSettings, SiteConfig, make_config
from vad.errors import WeightsError
from vad.pipeline import capacity
from vad.pipeline.capacity import Capacity, measure_capacity, too_many


def site(cameras: int, **settings: object) -> SiteConfig:
    url = "rtsp://127.0.0.1/stream"
    return make_config({"cameras": {f"c{i}": {"url": url, **settings} for i in range(cameras)}}, source="test")


def test_this_machine_is_measured() -> None:
    measured = measure_capacity(ModelSettings(), analysis_fps=8.0)
    assert 0.001 < measured.cores_per_camera < 1.0
    assert 1 <= measured.cameras < 1_000 * measured.cores


def test_a_camera_analysed_more_often_costs_more() -> None:
    often, rarely = (measure_capacity(ModelSettings(), analysis_fps=fps) for fps in (25.0, 1.0))
    assert often.cores_per_camera > rarely.cores_per_camera


def test_a_camera_analysed_wider_costs_more() -> None:
    wide, narrow = (measure_capacity(ModelSettings(), analysis_fps=25.0, model_width=width) for width in (320, 160))
    assert wide.cores_per_camera > narrow.cores_per_camera


def test_few_cameras_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "measure_capacity", pytest.fail)
    assert too_many(site(capacity.SURE_PER_CORE)) is None


def test_a_thousand_cameras_are_too_many_for_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "usable_cores", lambda: 1.0)
    warning = too_many(site(1_000, analysis_fps=8.0))
    assert warning is not None
    assert "1000 cameras; got room for about " in warning
    assert "analysed at 8 and 160 px wide " in warning


def test_recordings_read_as_fast_as_they_can_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "usable_cores", lambda: 1.0)
    recordings = {f"c{i}": CameraConfig(url="file.mp4", realtime=False) for i in range(100)}
    assert too_many(SiteConfig(cameras=recordings)) is None


def test_a_machine_with_room_holds_at_least_one_camera() -> None:
    assert Capacity(cores_per_camera=3.0, cores=2.0).cameras == 1
    assert Capacity(cores_per_camera=0.04, cores=2.0).cameras == 40


def test_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(WeightsError):
        measure_capacity(ModelSettings(weights="nowhere.safetensors"), analysis_fps=8.0)
