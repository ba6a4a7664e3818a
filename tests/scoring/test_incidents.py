from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.walkers import make_frame
from vad.config import ScoringSettings
from vad.scoring.incidents import CLOSE_REASONS, Incidents, merge_regions, overlap
from vad.types import EventType, FrameScore, HealthIssue, Reason, Region, Stage

SETTINGS = ScoringSettings(open_after_s=0.3, close_after_s=2.0, update_every_s=5.0, longest_incident_s=30.0)
FPS = 10.0
THRESHOLD = 5.0


def make_score(
    index: int, score: float, *, run: int = 0, reasons=(Reason.SPEED,), regions=(), health: HealthIssue | None = None
) -> FrameScore:
    hot = score > THRESHOLD
    return FrameScore(
        frame=make_frame(run=run, index=index, pts_s=index / FPS),
        score=score,
        threshold=THRESHOLD,
        p_value=10**-score,
        stage=Stage.CALIBRATED,
        reasons=tuple(reasons) if hot else (),
        evidence=dict.fromkeys(reasons, score),
        regions=tuple(regions) if hot else (),
        health=health,
    )


def make_incidents(settings: ScoringSettings = SETTINGS) -> Incidents:
    numbers = count(1)
    return Incidents("cam1", settings=settings, new_id=lambda: f"incident-{next(numbers)}")


def play(incidents: Incidents, scores, *, start: int = 0, **kwargs):
    return [event for k, score in enumerate(scores) for event in incidents.step(make_score(start + k, score, **kwargs))]


def test_an_incident_opens_and_closes_and_keeps_its_identity():
    events = play(make_incidents(), [0.0] * 10 + [7.0] * 10 + [0.0] * 30)
    assert [event.type for event in events] == [EventType.OPENED, EventType.CLOSED]
    opened, closed = events
    assert opened.incident == closed.incident == "incident-1"
    assert opened.started_pts_s == 1.0
    assert opened.pts_s == pytest.approx(1.2)
    assert (opened.close_reason, closed.close_reason) == (None, "calm")
    assert closed.pts_s == pytest.approx(1.9 + 2.0)
    assert closed.peak_score == 7.0
    assert closed.frames == 10
    assert opened.reasons == (Reason.SPEED,)


def test_a_flicker_opens_nothing():
    assert play(make_incidents(), ([0.0] * 9 + [9.0] * 2) * 10) == []


def test_open_after_zero_opens_on_the_first_anomalous_frame():
    events = play(make_incidents(ScoringSettings(open_after_s=0.0)), [0.0, 9.0])
    assert [event.type for event in events] == [EventType.OPENED]


def test_scores_within_the_hysteresis_keep_it_open():
    events = play(make_incidents(), [9.0] * 5 + [0.8 * THRESHOLD] * 100)
    assert [event.type for event in events] == [EventType.OPENED]


def test_updates_come_at_intervals_and_early_for_news():
    steady = play(make_incidents(), [7.0] * 125)
    assert [event.pts_s for event in steady if event.type is EventType.UPDATED] == pytest.approx([5.3, 10.3])
    incidents = make_incidents()
    play(incidents, [7.0] * 20)
    grown = play(incidents, [9.0] * 3, start=20)
    assert [event.type for event in grown] == [EventType.UPDATED]
    assert grown[0].peak_score == 9.0
    play(incidents, [7.0] * 12, start=23)
    other = play(incidents, [6.0] * 3, start=35, reasons=(Reason.SIZE,))
    assert [event.reasons for event in other] == [(Reason.SPEED, Reason.SIZE)]


def test_other_evidence_at_another_place_is_another_incident():
    incidents = make_incidents()
    left, right = Region(0.0, 0.5, 0.2, 0.9, 7.0), Region(0.7, 0.5, 0.9, 0.9, 7.0)
    play(incidents, [7.0] * 10, regions=(left,))
    near = play(incidents, [7.0] * 5, start=10, reasons=(Reason.SIZE,), regions=(left,))
    assert [event.type for event in near] == [EventType.UPDATED]
    other = play(incidents, [7.0] * 4, start=15, reasons=(Reason.DIRECTION,), regions=(right,))
    assert [(event.type, event.close_reason) for event in other] == [
        (EventType.CLOSED, "calm"),
        (EventType.OPENED, None),
    ]
    assert other[0].incident != other[1].incident
    assert other[1].reasons == (Reason.DIRECTION,)


def test_the_longest_incident_is_closed_and_needs_calm_before_another():
    incidents = make_incidents()
    events = play(incidents, [9.0] * 600)
    assert [event.type for event in events if event.type is not EventType.UPDATED] == [
        EventType.OPENED,
        EventType.CLOSED,
    ]
    assert events[-1].close_reason == "too_long"
    assert play(incidents, [0.0] * 30 + [9.0] * 10, start=600)[0].type is EventType.OPENED


def test_a_new_run_closes_what_was_open_at_its_last_frame():
    incidents = make_incidents()
    play(incidents, [9.0] * 10)
    events = play(incidents, [9.0], run=1)
    assert [(event.type, event.close_reason, event.run, event.pts_s) for event in events] == [
        (EventType.CLOSED, "run_ended", 0, 0.9)
    ]


def test_an_ailing_picture_closes_and_opens_nothing():
    incidents = make_incidents()
    play(incidents, [9.0] * 10)
    events = play(incidents, [9.0] * 50, start=10, health=HealthIssue.COVERED)
    assert [event.close_reason for event in events] == ["camera_health"]


def test_close_at_shutdown_says_so_once():
    incidents = make_incidents()
    play(incidents, [9.0] * 10)
    assert [event.close_reason for event in incidents.close("shutdown")] == ["shutdown"]
    assert incidents.close("shutdown") == []
    with pytest.raises(ValueError, match="allowed"):
        incidents.close("because")


def test_regions_of_an_incident_are_united_by_overlap():
    near = [Region(0.1, 0.1, 0.3, 0.3, 6.0), Region(0.12, 0.1, 0.32, 0.3, 8.0), Region(0.7, 0.7, 0.8, 0.8, 7.0)]
    merged = merge_regions(near)
    assert [region.score for region in merged] == [8.0, 7.0]
    assert (merged[0].x0, merged[0].x1) == (0.1, 0.32)
    assert all(overlap(a, b) < 0.2 for k, a in enumerate(merged) for b in merged[k + 1 :])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 3.0, 4.0, 6.0, 9.0]),
            st.integers(1, 40),
            st.sampled_from(["", "", "", "run", "health"]),
        ),
        max_size=25,
    )
)
def test_whatever_happens_every_incident_opens_once_and_closes_once(parts):
    incidents = make_incidents()
    events, index, run = [], 0, 0
    for score, frames, twist in parts:
        run, index = (run + 1, 0) if twist == "run" else (run, index)
        health = HealthIssue.MOVED if twist == "health" else None
        for _ in range(frames):
            events += incidents.step(make_score(index, score, run=run, health=health))
            index += 1
    events += incidents.close("shutdown")
    open_now = None
    for event in events:
        if event.type is EventType.OPENED:
            assert open_now is None
            open_now = event.incident
        assert event.incident == open_now
        assert event.peak_score >= event.threshold
        assert event.started_pts_s <= event.pts_s
        if event.type is EventType.CLOSED:
            assert event.close_reason in CLOSE_REASONS
            open_now = None
    assert open_now is None
