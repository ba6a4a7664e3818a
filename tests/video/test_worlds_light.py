"""Light, weather and the camera of the worlds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vad.video.worlds import World, open_world
from vad.video.worlds.exposure import Exposure
from vad.video.worlds.sky import Sky
from vad.video.worlds.weather import weather_at

HOUR = 3600


def first_frame(world: World, name: str, low: int, high: int) -> int:
    """The first frame with a condition, which holds at ``high`` and not at ``low`` and comes only once between."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if name in world.render(middle).conditions else (middle, high)
    return high


def test_the_camera_switches_to_infrared_in_one_frame_and_is_noisier_then() -> None:
    yard = open_world("yard", seed=4)
    dusk = first_frame(yard, "infrared", 10 * HOUR * 8, 17 * HOUR * 8)
    noon, at, after = (list(yard.frames(6, start=k)) for k in (6 * HOUR * 8, dusk - 1, dusk + 60))
    assert "infrared" not in at[0].conditions
    assert "infrared" in at[1].conditions
    assert "night" in at[1].conditions

    def noise(frames: list) -> float:
        return float(np.diff(np.stack([f.luma for f in frames]).astype(float), axis=0).std())

    steps = np.abs(np.diff([f.luma.astype(float) for f in at], axis=0)).mean(axis=(1, 2))
    assert steps[0] > 2 * steps[1:].mean()
    assert noise(after) > 1.2 * noise(noon)


def test_lamps_are_switched_between_two_frames() -> None:
    shop = open_world("shop", seed=4)
    on = first_frame(shop, "lamp_switched", 0, round(0.7501 * HOUR * 8))
    before, after = shop.render(on - 1), shop.render(on)
    assert np.abs(before.luma.astype(float) - after.luma).mean() > 10
    assert "lamp_switched" in after.conditions
    assert "lamp_switched" not in shop.render(on + 3 * 8).conditions


@pytest.mark.parametrize(("luma", "sign"), [(235.0, -1), (20.0, 1)])
def test_a_large_body_near_the_camera_shifts_the_picture_within_a_second(luma: float, sign: int) -> None:
    body = SimpleNamespace(box=(20.0, 20.0, 110.0, 80.0), lumas=np.full(5, luma))
    exposure = Exposure(
        fps=8.0,
        width=160,
        height=96,
        settled=lambda level: 1.0,
        level=lambda index: 1.0,
        drawn=lambda index: [body] if 100 <= index < 140 else [],
    )
    shift = {index: 110 * (exposure.gain(index) - 1) for index in (99, 100, 101, 104, 110, 139, 160)}
    assert shift[99] == shift[100] == pytest.approx(0)
    assert 0 < sign * shift[101] < sign * shift[104] < sign * shift[110]
    assert 10 <= sign * shift[110] <= 40
    assert shift[110] == pytest.approx(shift[139], abs=1)
    assert shift[160] == pytest.approx(0, abs=1)


def test_a_small_body_leaves_the_exposure_alone() -> None:
    body = SimpleNamespace(box=(20.0, 20.0, 30.0, 45.0), lumas=np.full(5, 250.0))
    exposure = Exposure(
        fps=8.0, width=160, height=96, settled=lambda _: 1.0, level=lambda _: 1.0, drawn=lambda _: [body]
    )
    assert exposure.gain(50) == pytest.approx(1.0)


def test_clouds_take_ten_to_thirty_percent_of_the_light_over_seconds() -> None:
    sky = Sky(seed=3)
    gains = np.array([sky.cloud_gain(9 * HOUR + s) for s in range(4 * HOUR)])
    assert gains.max() == 1.0
    assert 0.45 <= gains.min() <= 0.9
    assert np.abs(np.diff(gains)).max() < 0.25


def test_the_sun_rises_and_sets() -> None:
    for seed in range(8):
        sky = Sky(seed)
        light = [sky.daylight(hour * HOUR) for hour in (2, 12, 23)]
        assert light[0] == light[2] == 0.0
        assert light[1] == 1.0
        steps = np.abs(np.diff([sky.daylight(s) for s in range(0, 24 * HOUR, 10)]))
        assert steps.max() < 0.02


def test_it_rains_on_some_days_and_not_on_others() -> None:
    wet = {
        seed: max(max(w.rain, w.snow) for w in (weather_at(seed, s) for s in range(0, 24 * HOUR, 120)))
        for seed in range(16)
    }
    assert 4 <= sum(strength > 0.2 for strength in wet.values()) <= 14
    assert any(strength == 0 for strength in wet.values())


def test_conditions_name_the_weather() -> None:
    for seed in range(40):
        street = open_world("street", seed=seed, width=80, height=48, anomalies=False)
        hours = [s for s in range(6 * HOUR, 30 * HOUR, 600) if weather_at(street._setting.seed, s).rain > 0.3]
        if hours:
            break
    assert "rain" in street.render((hours[0] - 6 * HOUR) * 8).conditions
