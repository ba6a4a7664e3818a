import math
from itertools import pairwise

import numpy as np
import pytest

from vad.scoring import tails
from vad.scoring.gpd import excursions
from vad.scoring.tails import RING, Streams
from vad.scoring.threshold import MOST_PEAKS, OLDER, YOUNG_S, Spot, learn_in_step
from vad.scoring.tuning import DAY_S, TailPrior

PRIOR = TailPrior(floor=0.0, scale=1.0, shape=0.0, weight=8.0)
GAP_S = 3.0


def stream(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=count)
    if kind == "gaussian":
        return noise
    if kind == "exponential":
        return rng.exponential(1.0, count)
    if kind == "heavy":
        return rng.standard_t(8, count)
    kept = 0.8  # autocorrelated
    out = np.empty(count)
    value = 0.0
    for k in range(count):
        value = kept * value + math.sqrt(1 - kept**2) * noise[k]
        out[k] = value
    return out


@pytest.mark.parametrize("kind", ["gaussian", "autocorrelated", "exponential", "heavy"])
def test_excursions_a_day_keep_the_budget_over_simulated_camera_days(kind):
    """Six hours of normal stream, then days judged by the level it promises, half of the cameras learning on."""
    budget, step_s = 24.0, 1.0
    incidents, days = 0, 0.0
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        spot = Spot.alone(TailPrior(floor=0.0, scale=0.5, shape=0.0, weight=8.0), gap_s=GAP_S)
        for value in stream(kind, 6 * 3600, rng):
            spot.learn(value, dt_s=step_s)
        for _ in range(10):
            level = spot.level(budget / DAY_S)
            part = stream(kind, 20_000, rng)
            steps, starts = np.full(part.size, step_s), np.zeros(part.size, bool)
            peaks, last, _, _ = excursions(part, steps, starts, level, GAP_S, np.inf)
            incidents += peaks.size + (last > level)
            days += part.size * step_s / DAY_S
            for value in part[: 600 * (seed % 2)]:
                if value <= level:  # nothing flagged is learnt
                    spot.learn(value, dt_s=step_s)
    assert 0.5 * budget <= incidents / days <= 1.5 * budget


def test_a_sustained_value_counts_and_a_flicker_does_not():
    prior = TailPrior(floor=0.0, scale=0.1)
    flicker, steady = Spot.alone(prior, gap_s=GAP_S, sustain_s=0.3), Spot.alone(prior, gap_s=GAP_S, sustain_s=0.3)
    for k in range(400):
        flicker.learn(5.0 if k % 40 == 0 else 0.1, dt_s=0.1)
        steady.learn(5.0 if k % 40 < 4 else 0.1, dt_s=0.1)
    assert flicker.level(1e-4) < 5.0 < steady.level(1e-4)


def test_exponent_and_level_are_inverse_and_exponent_grows():
    spot = Spot.alone(PRIOR, gap_s=GAP_S)
    for value in np.random.default_rng(3).gamma(2.0, size=3000):
        spot.learn(value, dt_s=0.125)
    for rate in (1e-3, 1e-5, 1e-7):
        assert spot.exponent(spot.level(rate), dt_s=0.125) == pytest.approx(-math.log10(rate * 0.125))
    exponents = [spot.exponent(value, dt_s=0.125) for value in np.linspace(0.0, 40.0, 500)]
    assert exponents[0] == 0.0
    assert all(a <= b for a, b in pairwise(exponents))
    assert all(math.isfinite(value) for value in exponents)


def test_thirty_quiet_seconds_promise_neither_nothing_nor_everything():
    spot = Spot.alone(TailPrior(floor=0.9, scale=0.1), gap_s=GAP_S)
    for value in np.random.default_rng(0).normal(0.95, 0.1, 240):
        spot.learn(value, dt_s=0.125)
    assert 1.3 < spot.level(2.0 / DAY_S) < 4.0
    never = Spot.alone(TailPrior(floor=0.9, scale=0.1), gap_s=GAP_S)
    for _ in range(240):
        never.learn(0.0, dt_s=0.125)
    assert 1.2 < never.level(2.0 / DAY_S) < 4.0


def test_memory_is_bounded_and_the_tail_starts_higher_instead():
    spot = Spot.alone(PRIOR, gap_s=0.0)
    rng = np.random.default_rng(1)
    starts = []
    for value in rng.exponential(size=30_000):
        spot.learn(value, dt_s=1.0)
        starts.append(spot.start)
    assert spot.peaks <= MOST_PEAKS + 1
    assert starts[-1] > starts[RING]
    assert spot.level(1e-4) == pytest.approx(-math.log(1e-4), rel=0.15)


def test_drift_variant_follows_a_stream_that_rises():
    rng = np.random.default_rng(2)
    rising = 10.0 + np.arange(6000) * 0.01 + rng.normal(size=6000)
    plain, drifting = Spot.alone(PRIOR, gap_s=GAP_S), Spot.alone(PRIOR, gap_s=GAP_S, drift_s=60.0)
    flagged = {"plain": 0, "drifting": 0}
    for k, value in enumerate(rising):
        if k > 1000:
            flagged["plain"] += value > plain.level(1e-4)
            flagged["drifting"] += value > drifting.level(1e-4)
        plain.learn(value, dt_s=1.0)
        drifting.learn(value, dt_s=1.0)
    assert flagged["drifting"] <= 5
    assert drifting.level(1e-4) - rising[-1] < 10.0


def test_a_restored_tail_goes_on_as_the_saved_one_would():
    rng = np.random.default_rng(4)
    values = rng.gamma(2.0, size=9000)
    spot, other = Spot.alone(PRIOR, gap_s=GAP_S, sustain_s=0.3), Spot.alone(PRIOR, gap_s=GAP_S, sustain_s=0.3)
    for value in values[:5000]:
        spot.learn(value, dt_s=0.125)
    other.restore(spot.state())
    for value in values[5000:]:
        spot.learn(value, dt_s=0.125)
        other.learn(value, dt_s=0.125)
        assert other.start == spot.start
        assert (other.shape, other.scale, other.start_rate) == (spot.shape, spot.scale, spot.start_rate)


@pytest.mark.parametrize("gap_s", [0.0, GAP_S])
def test_tails_that_learn_in_step_are_those_of_single_streams(gap_s):
    priors = [PRIOR, TailPrior(floor=2.0, scale=0.1), TailPrior(floor=0.5, scale=0.2)]
    streams = Streams(3, gap_s=gap_s, sustain_s=0.3)
    together = [Spot(prior, streams, k) for k, prior in enumerate(priors)]
    single = [Spot.alone(prior, gap_s=gap_s, sustain_s=0.3) for prior in priors]
    rng = np.random.default_rng(6)
    for k, values in enumerate(rng.gamma(2.0, size=(4 * RING, 3))):
        dt_s, starts = float(rng.choice([0.1, 0.125, 3.0])), k % 1000 == 500
        learn_in_step(together, streams, values, dt_s=dt_s, starts=starts)
        for spot, value in zip(single, values, strict=True):
            spot.learn(value, dt_s=dt_s, starts=starts)
    shares = np.array([0.5, 0.3, 0.2])
    exponents = tails.exponents(streams.tails, np.array([1.0, 1.9, 30.0]), shares, 0.125)
    for k, value in enumerate((1.0, 1.9, 30.0)):
        one, other = together[k].state(), single[k].state()
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert exponents[k] == max(0.0, single[k].exponent(value, dt_s=0.125) + math.log10(shares[k]))


def test_what_is_sustained_is_the_lowest_of_the_last_moments():
    """Of as many values as there may be in them."""
    spot = Spot.alone(PRIOR, gap_s=GAP_S, sustain_s=1.0)
    values = np.random.default_rng(7).gamma(2.0, size=400)
    for value in values:
        spot.learn(value, dt_s=0.01)
    held = spot.state()["ring"][0]
    assert held[98] == 0.0
    assert [held[k] for k in range(99, 400)] == [values[k - 99 : k + 1].min() for k in range(99, 400)]


@pytest.mark.parametrize("wild_from_s", [20.0, 400.0])
def test_what_was_seen_at_first_is_forgotten_once_four_times_as_much_was_seen(wild_from_s):
    prior = TailPrior(floor=1.0, scale=0.2, shape=0.0, rate_per_hour=10.0, rate_worth_s=600.0)
    rng, wild, calm = np.random.default_rng(3), *(Spot.alone(prior, gap_s=GAP_S) for _ in range(2))
    for k in range(round(OLDER * YOUNG_S / 0.2) + 400):
        at_s, value = 0.2 * k, float(rng.uniform(0.0, 1.1))
        odd = wild_from_s <= at_s < wild_from_s + 60.0 and at_s % 10.0 < 0.2
        wild.learn(4.0 if odd else value, dt_s=0.2)
        calm.learn(value, dt_s=0.2)
        if round(at_s, 1) == 1000.0:
            assert (wild.level(2.0 / DAY_S) > calm.level(2.0 / DAY_S) + 0.3) is (wild_from_s > 100.0)
    assert wild.level(2.0 / DAY_S) == pytest.approx(calm.level(2.0 / DAY_S), abs=0.05)
