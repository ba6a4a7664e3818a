"""The two protocols: what each may see, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from tests.evaluation.judging import judged
from vad.evaluation.measures import Undefined
from vad.evaluation.protocols import LITERATURE_SIGMA_S, as_in_papers, literature, live, smoothed

QUIET = judged([0] * 30 + [1] * 30, np.concatenate((np.zeros(30), np.ones(30))), name="quiet")
LOUD = judged([0] * 30 + [1] * 30, np.concatenate((np.full(30, 8.0), np.full(30, 9.0))), name="loud")


def test_live_pools_the_clips_under_one_threshold() -> None:
    measures = live([QUIET, LOUD])
    assert measures["auroc_macro"] == 1.0
    assert measures["auroc_micro"] == pytest.approx(0.75)  # the loud clip's normal frames lie above the quiet one's


def test_literature_hides_what_differs_between_clips() -> None:
    assert literature([QUIET, LOUD])["auroc_micro"] > 0.99  # type: ignore[operator]


def test_smoothing_is_a_centred_gaussian() -> None:
    scores = np.random.default_rng(1).random(80)
    assert smoothed(scores, sigma_frames=5.0) == pytest.approx(gaussian_filter1d(scores, 5.0, truncate=4.0))
    short = scores[:7]
    assert smoothed(short, sigma_frames=5.0) == pytest.approx(gaussian_filter1d(short, 5.0, truncate=4.0))


def test_papers_scores_span_zero_to_one_whatever_the_rate() -> None:
    scores = np.random.default_rng(2).random(100)
    for fps in (10.0, 25.0):
        stretched = as_in_papers(scores, fps=fps)
        assert (stretched.min(), stretched.max()) == (0.0, 1.0)
        plain = gaussian_filter1d(scores, LITERATURE_SIGMA_S * fps, truncate=4.0)
        assert np.corrcoef(stretched, plain)[0, 1] == pytest.approx(1.0)
    assert as_in_papers(np.full(5, 3.0), fps=10.0).tolist() == [0.0] * 5


def test_a_clip_abnormal_without_masks_leaves_the_region_measures_undefined_and_is_named() -> None:
    measures = live([QUIET, LOUD])
    for name in ("rbdc", "tbdc"):
        measure = measures[name]
        assert isinstance(measure, Undefined)
        assert measure.reason == "neither pixel masks nor boxes of quiet, loud"
