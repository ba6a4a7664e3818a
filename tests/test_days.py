"""The benchmark of days around its counting: what is raised, recorded, gone on with, told and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import days
from benchmarks.days_count import Incident, PlantedEvent
from benchmarks.days_page import worst_misses, write_page
from benchmarks.days_raise import LEARNED_UNDER, IncidentCollector, Shadow
from benchmarks.days_record import Job, Record, Recording, Version, load, save
from benchmarks.days_report import as_json, condition_table, nearest, results_under, run_figures, text
from benchmarks.days_run import DetectorRun, advance, load_checkpoint, save_checkpoint
from vad.config import ScoringSettings
from vad.model.weights import load_weights
from vad.scoring.incidents import Incidents
from vad.types import EventType, Frame, FrameScore, Geometry, HealthIssue, Reason, Stage, WallSource
from vad.video.synthetic import Scene
from vad.video.worlds import JUDGED_SEEDS, TRAINING_SEEDS, WorldKind

FPS = 8.0
THRESHOLD = 6.0
GEOMETRY = Geometry(source_width=160, source_height=96, pool=1, width=160, height=96)
LUMA = np.zeros((96, 160), np.uint8)
JOB = Job("street", 5, 1.0, 0, 480, 160, 96, FPS, "base", (LEARNED_UNDER, 20_000.0))
VERSION = Version("abc", "detector", "worlds", "weights")


def score(index: int, value: float, **changes: object) -> FrameScore:
    frame = Frame("days", 1, index, index / FPS, 0.0, WallSource.FILE, 0.0, GEOMETRY, LUMA)
    judged = FrameScore(frame, value, THRESHOLD, 10.0**-value, Stage.CALIBRATED, evidence={Reason.SPEED: value})
    above = replace(judged, reasons=(Reason.SPEED,)) if value > THRESHOLD else judged
    return replace(above, **changes)


def raised_by(source: Shadow | Incidents, scores: list[FrameScore]) -> list[Incident]:
    raised = IncidentCollector()
    for one in scores:
        raised.take(source.step(one))
    raised.take(source.close() if isinstance(source, Shadow) else source.close("shutdown"))
    return raised.incidents


def stream(*stretches: tuple[float, float]) -> list[FrameScore]:
    """Scores from (seconds, value) stretches."""
    values = [value for seconds, value in stretches for _ in range(round(seconds * FPS))]
    return [score(index, value) for index, value in enumerate(values)]


def test_an_incident_is_what_the_engine_raises():
    scores = stream((10, 0.0), (2, 9.0), (10, 0.0))
    [incident] = raised_by(Incidents("days", settings=ScoringSettings()), scores)
    assert incident.started_s == 10.0
    assert incident.opened_s == pytest.approx(10.25)  # 0.3 s of anomalous frames, the first counted
    assert incident.closed_s == pytest.approx(11.875 + 2.0)  # calm for 2 s
    assert (incident.peak, incident.reasons, incident.close_reason) == (9.0, ("speed",), "calm")


def test_ten_times_the_budget_lowers_the_threshold_by_one():
    scores = stream((10, 0.0), (2, 5.5), (10, 0.0), (2, 4.9), (10, 0.0), (2, 9.0), (10, 0.0))
    settings = ScoringSettings()
    assert len(raised_by(Shadow("days", settings=settings, budget=LEARNED_UNDER), scores)) == 1
    assert len(raised_by(Shadow("days", settings=settings, budget=10.0 * LEARNED_UNDER), scores)) == 2
    assert len(raised_by(Shadow("days", settings=settings, budget=100.0 * LEARNED_UNDER), scores)) == 3


def test_a_shadow_of_the_same_budget_raises_what_the_engine_raises():
    random = np.random.default_rng(3)
    scores = stream(*((0.5, float(value)) for value in random.exponential(2.5, 400)))
    engine = raised_by(Incidents("days", settings=ScoringSettings()), scores)
    assert engine
    assert raised_by(Shadow("days", settings=ScoringSettings(), budget=LEARNED_UNDER), scores) == engine


def test_an_incident_still_open_at_the_end_is_counted():
    incidents = raised_by(Shadow("days", settings=ScoringSettings(), budget=20.0), stream((5, 0.0), (5, 9.0)))
    assert [one.close_reason for one in incidents] == ["shutdown"]


def record_of(scores: list[FrameScore], *, planted: tuple[PlantedEvent, ...] = (), rain: range = range(0)) -> Record:
    recording = Recording(len(scores), fps=FPS)
    for index, one in enumerate(scores):
        recording.take(one, frozenset({"rain"}) if index in rain else frozenset())
    raised = {
        budget: tuple(raised_by(Shadow("days", settings=ScoringSettings(), budget=budget), scores))
        for budget in JOB.budgets
    }
    return Record(
        job=replace(JOB, frames=len(scores)),
        version=VERSION,
        begins_s=6 * 3600.0,
        started_s=0.0,
        planted=planted,
        incidents=raised,
        conditions=tuple(recording.conditions),
        cpu_s={"world": 1.0, "network": 2.0, "scoring": 0.5, "record": 0.5},
        arrays=recording.arrays(),
    )


PLANTED = (PlantedEvent("fall", 12.0, 14.0), PlantedEvent("bag", 40.0, 45.0))
STREAM = [(12, 0.0), (2, 9.0), (10, 0.0), (2, 8.0), (14, 0.0), (5, 4.5), (15, 0.0)]  # caught, false at 24 s, missed


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path):
    record = record_of(stream(*STREAM), planted=PLANTED, rain=range(180, 220))
    save(tmp_path / "a.npz", record)
    back = load(tmp_path / "a.npz")
    assert back is not None
    assert (back.job, back.version, back.planted, back.incidents) == (
        record.job,
        record.version,
        record.planted,
        record.incidents,
    )
    assert all(np.array_equal(back.arrays[name], values) for name, values in record.arrays.items())


def test_a_torn_record_is_none(tmp_path: Path):
    save(tmp_path / "a.npz", record_of(stream(*STREAM)))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    assert load(tmp_path / "a.npz") is None
    assert load(tmp_path / "b.npz") is None


def test_conditions_are_those_of_the_frames_asked_for():
    record = record_of(stream(*STREAM), rain=range(180, 220))
    assert record.conditions_in(20.0, 22.4) == frozenset()
    assert record.conditions_in(20.0, 22.5) == {"rain"}
    assert record.conditions_in(27.5, 60.0) == frozenset()


def test_cold_and_unhealthy_frames_are_not_judged():
    scores = [
        *(score(k, 0.0, stage=Stage.COLD, threshold=np.inf, evidence={}) for k in range(10)),
        *(score(k, 1.0, health=HealthIssue.LIGHT_JUMP) for k in range(10, 30)),
        *(score(k, 1.0) for k in range(30, 100)),
    ]
    kept = run_figures(record_of(scores))
    assert (kept.judged, kept.cold, kept.unhealthy) == (0.7, 0.1, {"light_jump": 0.2})


def test_the_false_alarm_stands_under_its_condition_and_cue():
    record = record_of(stream(*STREAM), planted=PLANTED, rain=range(180, 220))
    cameras = results_under([record], LEARNED_UNDER)
    assert [one.started_s for one in cameras[0].matched.false] == [24.0]
    rain, other = condition_table(cameras)
    assert (rain.condition, rain.by_cue, rain.hours) == ("rain", {"speed": 1}, pytest.approx(5.0 / 3600.0))
    assert other.raised == 0


def test_a_miss_says_how_far_below_the_threshold_it_stayed():
    cameras = results_under([record_of(stream(*STREAM), planted=PLANTED)], LEARNED_UNDER)
    [(camera, missed)] = worst_misses(cameras)
    near = nearest(camera.record, missed)
    assert (missed.event.kind, near.short, near.cue, near.judged) == ("bag", 1.5, "speed", 1.0)


@dataclass(frozen=True, slots=True)
class SceneFrame:
    index: int
    at_s: float
    luma: np.ndarray
    labels: tuple = ()
    conditions: frozenset[str] = frozenset()


class SceneWorld:
    """The synthetic scene in a world's place: what a pass needs of one."""

    planted = ()

    def __init__(self, job: Job) -> None:
        self._scene = Scene(seed=job.seed, width=job.width, height=job.height, fps=job.fps)

    def frames(self, count: int, *, start: int = 0) -> Iterator[SceneFrame]:
        for one in self._scene.frames(count, start=start, truth=False):
            yield SceneFrame(one.index, one.index / FPS, one.luma, conditions=frozenset({f"bit {one.index // 200}"}))


def test_the_text_the_json_and_the_page_tell_the_same():
    record = record_of(stream(*STREAM), planted=PLANTED, rain=range(180, 220))
    told = text([record])
    assert "bag                   0 of 1 (0% to 73%)" in told
    assert "fall                  1 of 1 (27% to 100%), 0.2 s" in told
    figures = json.loads(json.dumps(as_json([record]), allow_nan=False))["budgets"]["2"]
    assert figures["rates"]["pooled"][-1]["raised"] == 1
    assert figures["false_alarms"]["street 5"][0]["conditions"] == ["rain"]
    page = write_page([record], SceneWorld)
    assert page.count("<svg") == 1
    assert page.count("<figure>") == 1 + 1  # the false alarm, once for both budgets, and the miss
    assert "http" not in page


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path):
    job = replace(JOB, budgets=(LEARNED_UNDER, 1e5, 1e6, 1e7, 1e8))  # some of which raise something in a minute
    weights, path = load_weights("base"), tmp_path / "a.checkpoint"
    whole = DetectorRun(job, weights=weights, made_by=VERSION)
    advance(whole, SceneWorld(job), frames=job.frames)
    parts = DetectorRun(job, weights=weights, made_by=VERSION)
    for frames in (4, 200, 36, job.frames):
        advance(parts, SceneWorld(job), frames=frames)
        save_checkpoint(path, parts)
        parts = load_checkpoint(path, job=job, made_by=replace(VERSION, commit="later"))
        assert parts is not None
    one, other = whole.finish([]), parts.finish([])
    assert any(one.incidents.values())
    assert one.incidents == other.incidents
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    assert one.conditions == ("bit 0", "bit 1", "bit 2")


def test_a_checkpoint_of_other_code_is_not_gone_on_with(tmp_path: Path):
    save_checkpoint(tmp_path / "a.checkpoint", DetectorRun(JOB, weights=load_weights("base"), made_by=VERSION))
    assert load_checkpoint(tmp_path / "a.checkpoint", job=JOB, made_by=replace(VERSION, detector="other")) is None
    assert load_checkpoint(tmp_path / "a.checkpoint", job=replace(JOB, seed=4), made_by=VERSION) is None
    assert load_checkpoint(tmp_path / "b.checkpoint", job=JOB, made_by=VERSION) is None


def test_records_are_taken_over_from_the_same_detector_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made_by = days.version(load_weights("base").card.sha256)
    fresh, ran = replace(record_of(stream(*STREAM)), version=made_by), []
    job = fresh.job
    save(tmp_path / f"{job.name}.npz", fresh)
    monkeypatch.setattr(days, "_run_all", lambda jobs, folder, *, workers: ran.extend(jobs) or jobs)
    days.records_of([job], tmp_path, workers=1, reuse=False)
    assert ran == []
    save(tmp_path / f"{job.name}.npz", replace(fresh, version=replace(made_by, detector="other")))
    days.records_of([job], tmp_path, workers=1, reuse=True)
    assert ran == []
    days.records_of([job], tmp_path, workers=1, reuse=False)
    assert ran == [job]


def test_training_and_judged_worlds_never_mix():
    assert not set(TRAINING_SEEDS) & set(JUDGED_SEEDS)
    assert {job.seed for job in days.jobs_of(days.options_of([]))} == {JUDGED_SEEDS[0]}
    assert {job.seed for job in days.jobs_of(days.options_of(["--training"]))} == {TRAINING_SEEDS[0]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "1000", "3"], "--seeds has 3, no judged seed; allowed: 1000 to"),
        (["--training", "--seeds", "1000"], "--seeds has 1000, no training seed; allowed: 0 to 999"),
        (["--days", "0"], "--days is 0; allowed: 0.01 to 31"),
        (["--jobs", "0"], "--jobs is 0; allowed: at least 1"),
        (["--world", "moon"], "invalid choice: 'moon'"),
    ],
)
def test_arguments_of_no_use_are_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        days.options_of(arguments)
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err


def test_a_wrong_name_of_weights_ends_the_program_with_a_message(tmp_path: Path):
    with pytest.raises(SystemExit, match="weights 'no'"):
        days.main(["--weights", "no", "--out", str(tmp_path)])


def test_short_is_two_hours_of_every_world_from_a_busy_hour_on():
    jobs = days.jobs_of(days.options_of(["--short"]))
    assert {job.world for job in jobs} == set(map(str, WorldKind))
    assert all(job.seconds == 7200.0 and job.start > 0 and job.start + job.frames <= 86400 * FPS for job in jobs)


def test_an_event_type_that_is_no_opening_or_closing_changes_nothing():
    raised = IncidentCollector()
    engine = Incidents("days", settings=ScoringSettings(update_every_s=1.0))
    events = [event for one in stream((1, 0.0), (8, 9.0), (5, 0.0)) for event in engine.step(one)]
    assert EventType.UPDATED in {event.type for event in events}
    raised.take(events)
    assert len(raised.incidents) == 1
