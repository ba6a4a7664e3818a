"""The figures of the simulated cameras together, as values, as text and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.days_count import (
    CONFIDENCE,
    DAY_S,
    NO_CONDITION,
    WHOLE,
    Caught,
    Incident,
    Matched,
    Outcome,
    Rate,
    UnderCondition,
    by_condition,
    by_hour,
    caught,
    caught_by_kind,
    match_incidents,
    pooled,
    rates,
)
from benchmarks.days_record import CUES, ISSUES, NONE, STAGES, Record
from vad.types import Stage

POOLED = "pooled"
ALL_KINDS = "all"
BEFORE_OPENING_S = 1.0
"""A condition that held this shortly before a false alarm began counts too."""


@dataclass(frozen=True, slots=True)
class CameraResult:
    """One camera's life under one budget."""

    record: Record
    budget: float
    matched: Matched

    def rates(self) -> list[Rate]:
        """By period, and the whole life last."""
        opened_s = [one.opened_s for one in self.matched.false]
        life = {"started_s": self.record.started_s, "seconds": self.record.job.seconds, "budget": self.budget}
        return rates(opened_s, **life) + rates(opened_s, **life, periods=(WHOLE,))

    def conditions_of(self, incident: Incident) -> frozenset[str]:
        return self.record.conditions_in(incident.started_s - BEFORE_OPENING_S, incident.opened_s)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What of a camera's life was judged, and what it cost."""

    camera: str
    days: float
    judged: float  # share of the frames: neither cold nor unhealthy
    cold: float
    unhealthy: dict[str, float]  # share by issue
    frames_a_cpu_s: float
    cpu_minutes_a_day: float
    cpu_share: dict[str, float]  # by stage


def results_under(records: Iterable[Record], budget: float) -> list[CameraResult]:
    return [
        CameraResult(record, budget, match_incidents(record.incidents[budget], record.planted)) for record in records
    ]


def rate_tables(cameras: Sequence[CameraResult]) -> dict[str, list[Rate]]:
    """By camera, and all of them pooled."""
    tables = {one.record.title: one.rates() for one in cameras}
    return tables | {POOLED: pooled(list(tables.values()))}


def caught_table(cameras: Sequence[CameraResult]) -> list[Caught]:
    """By kind of event, and all of them last."""
    found: list[Outcome] = [found for one in cameras for found in one.matched.found]
    return [*caught_by_kind(found), caught(ALL_KINDS, found)]


def condition_table(cameras: Sequence[CameraResult]) -> list[UnderCondition]:
    """Under which conditions the false alarms fell, and by which cue."""
    alarms = [
        (alarm.reasons[0] if alarm.reasons else "none", one.conditions_of(alarm))
        for one in cameras
        for alarm in one.matched.false
    ]
    return by_condition(alarms, seconds_of=_seconds_of(one.record for one in cameras))


def hour_table(cameras: Sequence[CameraResult]) -> list[int]:
    """False alarms in each hour of the day, of all cameras together."""
    tables = [by_hour((alarm.opened_s for alarm in one.matched.false), begins_s=one.record.begins_s) for one in cameras]
    return [sum(counts) for counts in zip(*tables, strict=True)]


def _seconds_of(records: Iterable[Record]) -> dict[str, float]:
    seconds = {NO_CONDITION: 0.0}
    for record in records:
        bits, fps = record.arrays["condition_bits"], record.job.fps
        seconds[NO_CONDITION] += float((bits == 0).sum()) / fps
        for k, name in enumerate(record.conditions):
            seconds[name] = seconds.get(name, 0.0) + float((bits >> k & 1).sum()) / fps
    return seconds


def run_figures(record: Record) -> RunFigures:
    stage, issue = record.arrays["stage"], record.arrays["issue"]
    cpu_s = sum(record.cpu_s.values())
    return RunFigures(
        camera=record.title,
        days=record.job.seconds / DAY_S,
        judged=float(record.is_judged.mean()),
        cold=float((stage == STAGES.index(Stage.COLD)).mean()),
        unhealthy={str(name): float((issue == k).mean()) for k, name in enumerate(ISSUES) if (issue == k).any()},
        frames_a_cpu_s=record.job.frames / cpu_s if cpu_s else math.nan,
        cpu_minutes_a_day=cpu_s / 60.0 / (record.job.seconds / DAY_S),
        cpu_share={name: seconds / cpu_s if cpu_s else 0.0 for name, seconds in record.cpu_s.items()},
    )


def text(records: Sequence[Record]) -> str:
    """Everything as plain tables, 120 wide at the most."""
    budgets = records[0].job.budgets
    by_budget = {budget: results_under(records, budget) for budget in budgets}
    parts = [_heading(records)]
    for budget, cameras in by_budget.items():
        parts.append(_rates_text(budget, rate_tables(cameras), sum(len(one.matched.ran_into) for one in cameras)))
    parts.append(_caught_text({budget: caught_table(cameras) for budget, cameras in by_budget.items()}))
    for budget, cameras in by_budget.items():
        parts.append(f"{_conditions_text(budget, condition_table(cameras))}\n{_hours_text(hour_table(cameras))}")
    parts.append(_running_text([run_figures(record) for record in records]))
    return "\n\n".join(parts)


def _heading(records: Sequence[Record]) -> str:
    versions = {record.version for record in records}
    named = "; ".join(f"commit {one.commit}, detector {one.detector}, weights {one.weights[:12]}" for one in versions)
    days = sum(record.job.seconds for record in records) / DAY_S
    budgets = " and ".join(f"{budget:g}" for budget in records[0].job.budgets)
    return f"{len(records)} cameras, {days:.2f} simulated days, false alarms promised: {budgets} a day\n{named}"


def _rates_text(budget: float, tables: dict[str, list[Rate]], ran_into: int) -> str:
    lines = [f"False alarms at {budget:g} a day ({CONFIDENCE:.0%} intervals)"]
    lines.append(f"{'camera':16}{'period':20}{'days':>8}{'promised':>10}{'raised':>8}{'a day':>9}   interval a day")
    for camera, table in tables.items():
        for row in table:
            if not row.days:
                continue
            low, high = row.interval_a_day
            kept = "" if row.is_kept else "   BROKEN"
            lines.append(
                f"{camera:16}{row.period:20}{row.days:8.3f}{row.promised:10.2f}{row.raised:8d}{row.a_day:9.1f}"
                f"   {low:.1f} to {high:.1f}{kept}"
            )
    if ran_into:
        lines.append(f"{ran_into} more were opened before a planted event began and lasted into it: counted as neither")
    return "\n".join(lines)


def _caught_text(tables: dict[float, list[Caught]]) -> str:
    lines = [f"Planted events caught ({CONFIDENCE:.0%} intervals), median delay"]
    lines.append(f"{'kind':22}" + "".join(f"{f'at {budget:g} a day':36}" for budget in tables))
    rows = zip(*tables.values(), strict=True)
    lines += [f"{row[0].kind:22}" + "".join(f"{_caught_cell(one):36}" for one in row) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _caught_cell(one: Caught) -> str:
    low, high = one.interval
    delay = "" if one.median_delay_s is None else f", {one.median_delay_s:.1f} s"
    return f"{one.caught} of {one.of} ({low:.0%} to {high:.0%}){delay}"


def _conditions_text(budget: float, table: Sequence[UnderCondition]) -> str:
    lines = [f"False alarms at {budget:g} a day by condition (one may fall under several) and strongest cue"]
    cues = [cue for cue in (*map(str, CUES), "none") if any(cue in line.by_cue for line in table)]
    lines.append(f"{'condition':20}{'hours':>9}{'alarms':>8}{'an hour':>9}" + "".join(f"{cue:>15}" for cue in cues))
    for line in table:
        counts = "".join(f"{line.by_cue.get(cue, 0) or '':>15}" for cue in cues)
        lines.append(f"{line.condition:20}{line.hours:9.2f}{line.raised:8d}{line.an_hour:9.2f}{counts}")
    return "\n".join(line.rstrip() for line in lines)


def _hours_text(table: Sequence[int]) -> str:
    counts = "  ".join(f"{hour:02d}: {count}" for hour, count in enumerate(table) if count)
    return f"by hour of the day: {counts or 'none'}"


def _running_text(rows: Sequence[RunFigures]) -> str:
    lines = [
        f"{'camera':16}{'judged':>8}{'cold':>8}  {'unhealthy':34}{'frames/CPU s':>13}{'CPU min a day':>15}  CPU time"
    ]
    for row in rows:
        unhealthy = ", ".join(f"{name} {share:.1%}" for name, share in row.unhealthy.items()) or "never"
        shares = ", ".join(f"{name} {share:.0%}" for name, share in row.cpu_share.items())
        lines.append(
            f"{row.camera:16}{row.judged:8.1%}{row.cold:8.2%}  {unhealthy:34}{row.frames_a_cpu_s:13.0f}"
            f"{row.cpu_minutes_a_day:15.1f}  {shares}"
        )
    return "\n".join(lines)


def as_json(records: Sequence[Record]) -> dict[str, Any]:
    """All figures, every incident and every planted event, for other programs."""
    budgets = records[0].job.budgets
    return {
        "cameras": [_camera_json(record) for record in records],
        "budgets": {f"{budget:g}": _budget_json(results_under(records, budget)) for budget in budgets},
    }


def _camera_json(record: Record) -> dict[str, Any]:
    return {
        "camera": record.title,
        "job": dataclasses.asdict(record.job),
        "version": dataclasses.asdict(record.version),
        "running": dataclasses.asdict(run_figures(record)),
    }


def _budget_json(cameras: Sequence[CameraResult]) -> dict[str, Any]:
    return {
        "rates": {camera: [_rate_json(row) for row in table] for camera, table in rate_tables(cameras).items()},
        "caught": [dataclasses.asdict(one) | {"interval": one.interval} for one in caught_table(cameras)],
        "conditions": [dataclasses.asdict(one) | {"an_hour": _number(one.an_hour)} for one in condition_table(cameras)],
        "by_hour": hour_table(cameras),
        "false_alarms": {one.record.title: [_alarm_json(one, alarm) for alarm in one.matched.false] for one in cameras},
        "ran_into": {one.record.title: [_alarm_json(one, alarm) for alarm in one.matched.ran_into] for one in cameras},
        "events": {one.record.title: [_found_json(one, found) for found in one.matched.found] for one in cameras},
    }


def _rate_json(row: Rate) -> dict[str, Any]:
    low, high = map(_number, row.interval_a_day)
    return dataclasses.asdict(row) | {"a_day": _number(row.a_day), "interval_a_day": [low, high], "kept": row.is_kept}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _alarm_json(one: CameraResult, alarm: Incident) -> dict[str, Any]:
    return dataclasses.asdict(alarm) | {"conditions": sorted(one.conditions_of(alarm))}


def _found_json(one: CameraResult, found: Outcome) -> dict[str, Any]:
    return {
        **dataclasses.asdict(found.event),
        "delay_s": found.delay_s,
        "reasons": found.incident.reasons if found.incident else None,
        **dataclasses.asdict(nearest(one.record, found)),
    }


@dataclass(frozen=True, slots=True)
class Nearest:
    """How near an event came to being raised. ``short`` is threshold less score at the nearest frame, in decades."""

    at_s: float
    short: float | None  # None where nothing of it was judged
    cue: str | None
    judged: float  # share of the event's frames


def nearest(record: Record, found: Outcome) -> Nearest:
    """The frame of the event that came nearest to the threshold of the first budget."""
    first, last = record.frame_at(found.event.start_s), record.frame_at(found.event.end_s)
    judged = record.is_judged[first : last + 1]
    if not judged.any():
        return Nearest(found.event.start_s, None, None, 0.0)
    scores = record.arrays["score"][first : last + 1].astype(np.float32)
    over = np.where(judged, scores - record.arrays["threshold"][first : last + 1], -np.inf)
    place = int(over.argmax())
    cue = record.arrays["leading"][first + place]
    at_s = record.started_s + (first + place) / record.job.fps
    return Nearest(at_s, -float(over[place]), str(CUES[cue]) if cue != NONE else None, float(judged.mean()))
