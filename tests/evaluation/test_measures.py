"""Frame measures against hand-computed cases and against slow definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.evaluation.measures import (
    Flags,
    Undefined,
    Values,
    auroc,
    average_precision,
    curve,
    equal_error_rate,
    macro_auroc,
    padded_macro_auroc,
)

LABELS = np.array([0, 1, 0, 1, 1], bool)
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.35])
"""Falling: 0.8 abnormal; 0.4 abnormal; 0.35 one of each; 0.1 normal."""

frames = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda pairs: len({label for label, _ in pairs}) == 2
)


def split(pairs: list[tuple[bool, int]]) -> tuple[Flags, Values]:
    return np.array([label for label, _ in pairs], bool), np.array([score for _, score in pairs], float)


def test_hand_computed_case() -> None:
    # pairs (abnormal, normal): 0.4, 0.8 above both normals = 4; 0.35 ties one (0.5) and beats the other (1): 5.5 of 6
    assert auroc(LABELS, SCORES) == pytest.approx(5.5 / 6.0)
    # two thirds of the abnormal frames at precision 1, the last third at 3 of 4
    assert average_precision(LABELS, SCORES) == pytest.approx(2.0 / 3.0 + 0.75 / 3.0)
    # from (0, 2/3) to (1/2, 1): false = miss where x = 1/3 - 2x/3
    assert equal_error_rate(LABELS, SCORES) == pytest.approx(0.2)


def test_curve_has_one_point_for_each_threshold_that_matters() -> None:
    points = curve(LABELS, SCORES)
    assert points.thresholds.tolist() == [np.inf, 0.8, 0.4, 0.35, 0.1]
    assert points.true_positives.tolist() == [0, 1, 2, 3, 3]
    assert points.false_positives.tolist() == [0, 0, 0, 1, 2]
    assert points.precision.tolist() == [1.0, 1.0, 1.0, 0.75, 0.6]


@pytest.mark.parametrize(("sign", "area", "error"), [(1.0, 1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 0.5, 0.5)])
def test_perfect_reversed_and_constant_scores(sign: float, area: float, error: float) -> None:
    labels = np.array([0, 0, 1, 1], bool)
    scores = sign * np.array([1.0, 2.0, 3.0, 4.0])
    assert auroc(labels, scores) == pytest.approx(area)
    assert equal_error_rate(labels, scores) == pytest.approx(error)


@given(frames)
def test_auroc_is_the_share_of_pairs_ranked_right(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = split(pairs)
    above = [np.sign(a - n) / 2 + 0.5 for a in scores[labels] for n in scores[~labels]]
    assert auroc(labels, scores) == pytest.approx(np.mean(above))


@given(frames)
def test_average_precision_is_the_sum_over_thresholds(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = split(pairs)
    total, found_before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        flagged = scores >= threshold
        found = int((labels & flagged).sum())
        total += (found - found_before) / labels.sum() * found / flagged.sum()
        found_before = found
    assert average_precision(labels, scores) == pytest.approx(total)


@given(frames)
def test_equal_error_rate_lies_between_the_thresholds_around_it(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = split(pairs)
    errors = [
        (np.mean(scores[~labels] >= t), np.mean(scores[labels] < t)) for t in [np.inf, *sorted(set(scores))[::-1]]
    ]
    rate = equal_error_rate(labels, scores)
    assert isinstance(rate, float)
    before = max((e for e in errors if e[0] <= e[1]), key=lambda e: e[0])
    after = min((e for e in errors if e[0] >= e[1]), key=lambda e: e[0])
    assert before[0] - 1e-9 <= rate <= after[0] + 1e-9
    assert after[1] - 1e-9 <= rate <= before[1] + 1e-9


@given(frames, st.randoms(use_true_random=False))
def test_no_measure_depends_on_the_order_of_the_frames(pairs: list[tuple[bool, int]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for measure in (auroc, average_precision, equal_error_rate):
        assert measure(*split(pairs)) == pytest.approx(measure(*split(shuffled)))


@pytest.mark.parametrize("measure", [auroc, average_precision, equal_error_rate])
@pytest.mark.parametrize(
    ("labels", "why"), [([0, 0], "every frame is normal"), ([1, 1], "every frame is abnormal"), ([], "no frame")]
)
def test_one_kind_of_frame_has_no_measure_and_says_why(measure: object, labels: list[int], why: str) -> None:
    result = measure(np.array(labels, bool), np.zeros(len(labels)))  # type: ignore[operator]
    assert isinstance(result, Undefined)
    assert why in result.reason


def test_macro_is_the_mean_of_the_clips_that_have_one() -> None:
    good = (np.array([0, 1], bool), np.array([1.0, 2.0]))
    bad = (np.array([0, 1], bool), np.array([9.0, 8.0]))
    abnormal = (np.array([1, 1], bool), np.array([0.0, 0.0]))
    assert macro_auroc([good, bad, abnormal]) == pytest.approx(0.5)
    assert isinstance(macro_auroc([abnormal]), Undefined)


def test_padding_adds_a_frame_of_each_kind_ranked_right() -> None:
    bad = (np.array([0, 1], bool), np.array([9.0, 8.0]))
    abnormal = (np.array([1, 1], bool), np.array([5.0, 6.0]))
    # bad: normal 5 (padded) and 9, abnormal 8 and 9 (padded): 8 > 5, 9 > 5, 9 = 9, 8 < 9: 2.5 of 4
    # abnormal: normal 5 (padded) against 5, 6, 9: 2.5 of 3
    assert padded_macro_auroc([bad, abnormal]) == pytest.approx((2.5 / 4.0 + 2.5 / 3.0) / 2.0)
    assert isinstance(padded_macro_auroc([]), Undefined)
