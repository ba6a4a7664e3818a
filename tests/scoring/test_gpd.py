import numpy as np
import pytest
from scipy import optimize, stats

from vad.scoring.gpd import excursions, fit_gpd, fit_tail, log_likelihood, quantiles


def oracle_fit(excesses):
    """Plain maximisation of the likelihood from several starts."""
    best = (0.0, excesses.mean())

    def cost(p):
        if p[0] < 0.0 and excesses.max() >= -np.exp(p[1]) / p[0]:
            return 1e9
        return -stats.genpareto.logpdf(excesses, p[0], scale=np.exp(p[1])).sum()

    lowest = cost((0.0, np.log(excesses.mean())))
    for start in (-0.3, -0.05, 0.05, 0.3):
        found = optimize.minimize(cost, (start, np.log(excesses.mean())), method="Nelder-Mead")
        if found.fun < lowest and found.x[0] > -1.0:
            lowest, best = found.fun, (found.x[0], np.exp(found.x[1]))
    return best


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.0, 0.2, 0.6])
@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_fit_reaches_the_likelihood_of_a_plain_maximisation(shape, scale):
    excesses = stats.genpareto.rvs(shape, scale=scale, size=400, random_state=7)
    expected = oracle_fit(excesses)
    got = fit_gpd(excesses)
    assert log_likelihood(excesses, *got) >= log_likelihood(excesses, *expected) - 1e-3
    assert got == pytest.approx(expected, rel=0.02, abs=0.02)


def test_log_likelihood_is_scipys():
    excesses = np.array([0.1, 0.5, 2.0, 3.5])
    for shape, scale in ((0.3, 1.2), (0.0, 0.7), (-0.2, 2.0)):
        assert log_likelihood(excesses, shape, scale) == pytest.approx(
            stats.genpareto.logpdf(excesses, shape, scale=scale).sum()
        )
    assert log_likelihood(excesses, -0.5, 1.0) == -np.inf


def test_few_peaks_are_ruled_by_the_prior_and_many_by_themselves():
    shape, scale = fit_tail(np.zeros(0), 0.0, 0.2, 8.0)
    assert (shape, scale) == (pytest.approx(1 / 8 + 4 / 60), 0.2)
    one = fit_tail(np.array([50.0]), 0.0, 0.2, 8.0)
    assert one[1] < 10.0
    many = stats.genpareto.rvs(0.15, scale=2.0, size=20_000, random_state=1)
    assert fit_tail(many, 0.0, 0.2, 8.0) == pytest.approx((0.15, 2.0), abs=0.06)


def slow_excursions(values, steps_s, starts, start, gap_s):
    """The same by following the definition: split at calm gaps and breaks, take maxima."""
    groups, calm_s = [], np.inf
    for value, step_s, begins in zip(values, steps_s, starts, strict=True):
        if begins:
            calm_s = np.inf
        if value > start:
            if calm_s >= gap_s:
                groups.append([])
            groups[-1].append(value)
            calm_s = 0.0
        else:
            calm_s += step_s
    return [max(group) for group in groups]


@pytest.mark.parametrize("seed", range(5))
def test_excursions_follow_their_definition(seed):
    rng = np.random.default_rng(seed)
    values, starts = rng.normal(size=500), rng.random(500) < 0.01
    steps_s = rng.choice([0.125, 0.25], 500)
    peaks, open_peak, _, _ = excursions(values, steps_s, starts, 1.0, 1.0, np.inf)
    expected = slow_excursions(values, steps_s, starts, 1.0, 1.0)
    got = [*peaks, open_peak] if open_peak > 1.0 else list(peaks)
    assert got == expected


def test_quantiles_are_those_of_numpy():
    rng = np.random.default_rng(9)
    for size in (1, 2, 7, 100, 4096):
        values, shares = np.sort(rng.gamma(2.0, size=size)), rng.random(20)
        assert np.array_equal(quantiles(values, shares), np.quantile(values, shares))
