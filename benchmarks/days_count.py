"""What is counted of a simulated camera: false alarms by period against the promise, events caught, exact intervals.

Pure functions over hand-made or recorded values. All times are the world's own seconds (``at_s``), of one camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scipy.stats import chi2, norm

DAY_S = 86400.0
GRACE_BEFORE_S = 1.0
GRACE_AFTER_S = 3.0
CONFIDENCE = 0.90
"""Of every interval here, two-sided."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One raised incident. Regions are boxes in fractions of the picture: x0, y0, x1, y1, peak score."""

    started_s: float  # its first anomalous frame
    opened_s: float  # when the operator was told
    closed_s: float
    peak_s: float
    peak: float
    threshold: float  # when it was opened
    stage: str
    reasons: tuple[str, ...]  # when it was opened, strongest first
    close_reason: str
    regions: tuple[tuple[float, float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PlantedEvent:
    """An event that was put into the world on purpose, [start_s, end_s)."""

    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one planted event: the first incident that was opened for it, if any."""

    event: PlantedEvent
    incident: Incident | None

    @property
    def delay_s(self) -> float | None:
        """From the event's beginning to the operator; None when it was missed."""
        return None if self.incident is None else max(0.0, self.incident.opened_s - self.event.start_s)


@dataclass(frozen=True, slots=True)
class Matched:
    """The incidents of one camera, held against its planted events.

    An incident that overlaps no planted event is ``false``. One that was opened before an event began and merely
    lasted into it is no false alarm and catches nothing: ``ran_into``.
    """

    false: tuple[Incident, ...]
    found: tuple[Outcome, ...]  # one for each planted event, in their order
    ran_into: tuple[Incident, ...]


def overlaps(event: PlantedEvent, first_s: float, last_s: float) -> bool:
    """Does [first_s, last_s] touch the event with its grace?"""
    return first_s <= event.end_s + GRACE_AFTER_S and last_s >= event.start_s - GRACE_BEFORE_S


def match_incidents(incidents: Sequence[Incident], planted: Sequence[PlantedEvent]) -> Matched:
    """Hold incidents against planted events; incidents in the order in which they were opened."""
    found: list[Outcome] = []
    explained: set[int] = set()
    for event in planted:
        mine = [k for k, one in enumerate(incidents) if overlaps(event, one.started_s, one.opened_s)]
        explained.update(mine)
        found.append(Outcome(event, incidents[mine[0]] if mine else None))
    false: list[Incident] = []
    ran_into: list[Incident] = []
    for k, incident in enumerate(incidents):
        if k in explained:
            continue
        touches = any(overlaps(event, incident.started_s, incident.closed_s) for event in planted)
        (ran_into if touches else false).append(incident)
    return Matched(tuple(false), tuple(found), tuple(ran_into))


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a camera's life, [from_s, to_s) since its first frame."""

    name: str
    from_s: float
    to_s: float


PERIODS = (
    Period("first minute", 0.0, 60.0),
    Period("rest of first hour", 60.0, 3600.0),
    Period("rest of first day", 3600.0, DAY_S),
    Period("day 2 on", DAY_S, math.inf),
)
WHOLE = Period("whole life", 0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Rate:
    """False alarms of one period, of one camera or of several together."""

    period: str
    days: float  # camera time of the period
    promised: float  # false alarms that the budget allows in it
    raised: int

    @property
    def a_day(self) -> float:
        return self.raised / self.days if self.days else math.nan

    @property
    def interval_a_day(self) -> tuple[float, float]:
        """Exact (Poisson) interval of the rate a day."""
        low, high = poisson_interval(self.raised)
        return (low / self.days, high / self.days) if self.days else (math.nan, math.nan)

    @property
    def is_kept(self) -> bool:
        """Could the promise be true? Not when even the interval's lower end is above it."""
        return poisson_interval(self.raised)[0] <= self.promised


def rates(
    opened_s: Iterable[float], *, started_s: float, seconds: float, budget: float, periods: Sequence[Period] = PERIODS
) -> list[Rate]:
    """A camera's false alarms, opened at those times, by period; periods it did not live to see have 0 days."""
    ages = [at_s - started_s for at_s in opened_s]
    table = []
    for period in periods:
        days = max(0.0, min(period.to_s, seconds) - period.from_s) / DAY_S
        raised = sum(period.from_s <= age < period.to_s for age in ages)
        table.append(Rate(period.name, days, budget * days, raised))
    return table


def pooled(tables: Sequence[Sequence[Rate]]) -> list[Rate]:
    """Several cameras' tables of the same periods as one."""
    return [
        Rate(
            rows[0].period,
            sum(row.days for row in rows),
            sum(row.promised for row in rows),
            sum(row.raised for row in rows),
        )
        for rows in zip(*tables, strict=True)
    ]


def poisson_interval(count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval (Garwood 1936) of the mean of a Poisson variable that was seen to be ``count``."""
    tail = (1.0 - confidence) / 2.0
    low = float(chi2.ppf(tail, 2 * count)) / 2.0 if count else 0.0
    return low, float(chi2.ppf(1.0 - tail, 2 * count + 2)) / 2.0


def wilson_interval(hits: int, of: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share; 0 to 1 where nothing was tried."""
    if not of:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2.0))
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = z * math.sqrt(share * (1.0 - share) / of + spread / (4.0 * of)) / (1.0 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Caught:
    """Planted events of one kind."""

    kind: str
    caught: int
    of: int
    median_delay_s: float | None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.caught, self.of)


def caught_by_kind(found: Iterable[Outcome]) -> list[Caught]:
    """One line a kind, in alphabetical order."""
    kinds: dict[str, list[Outcome]] = {}
    for one in found:
        kinds.setdefault(one.event.kind, []).append(one)
    return [caught(kind, ones) for kind, ones in sorted(kinds.items())]


def caught(kind: str, found: Sequence[Outcome]) -> Caught:
    """Those events as one line."""
    delays = [one.delay_s for one in found if one.delay_s is not None]
    return Caught(kind, len(delays), len(found), median(delays) if delays else None)


def by_hour(times_s: Iterable[float], *, begins_s: float) -> list[int]:
    """How many of a world's times fell into each of the day's 24 hours; ``begins_s`` is its second 0's time of day."""
    hours = [0] * 24
    for at_s in times_s:
        hours[int((begins_s + at_s) // 3600.0) % 24] += 1
    return hours


NO_CONDITION = "nothing special"


@dataclass(frozen=True, slots=True)
class UnderCondition:
    """The false alarms that fell under one condition of the world, by the cue that was strongest when opened."""

    condition: str
    hours: float  # that the condition held
    by_cue: Mapping[str, int]

    @property
    def raised(self) -> int:
        return sum(self.by_cue.values())

    @property
    def an_hour(self) -> float:
        return self.raised / self.hours if self.hours else math.nan


def by_condition(
    alarms: Iterable[tuple[str, frozenset[str]]], *, seconds_of: Mapping[str, float]
) -> list[UnderCondition]:
    """``alarms`` are (leading cue, conditions that held); one line a condition, most false alarms first.

    An alarm under several conditions is in each of their lines; one under none is in NO_CONDITION's. ``seconds_of``
    says how long each condition (and NO_CONDITION) held.
    """
    counts: dict[str, dict[str, int]] = {condition: {} for condition in seconds_of}
    for cue, conditions in alarms:
        for condition in conditions or {NO_CONDITION}:
            line = counts.setdefault(condition, {})
            line[cue] = line.get(cue, 0) + 1
    lines = [UnderCondition(name, seconds_of.get(name, 0.0) / 3600.0, line) for name, line in counts.items()]
    return sorted(lines, key=lambda line: (-line.raised, -line.hours, line.condition))
