"""How busy a place is over the day, as 24 shares of its busiest hour."""

from __future__ import annotations

from vad.video.worlds.kinds import DAY_S

Hours = tuple[float, ...]

STREET: Hours = (
    0.04,
    0.02,
    0.01,
    0.01,
    0.02,
    0.06,
    0.2,
    0.55,
    0.9,
    0.6,
    0.5,
    0.6,
    0.85,
    0.75,
    0.55,
    0.6,
    0.8,
    1,
    0.95,
    0.7,
    0.5,
    0.35,
    0.2,
    0.1,
)
ROAD: Hours = (
    0.05,
    0.03,
    0.02,
    0.02,
    0.05,
    0.15,
    0.45,
    0.9,
    1,
    0.7,
    0.6,
    0.6,
    0.7,
    0.65,
    0.65,
    0.75,
    0.95,
    1,
    0.85,
    0.6,
    0.4,
    0.3,
    0.2,
    0.1,
)
SHOP: Hours = (0, 0, 0, 0, 0, 0, 0, 0, 0.4, 0.5, 0.7, 0.8, 0.9, 0.7, 0.6, 0.6, 0.8, 1, 1, 0.7, 0.35, 0, 0, 0)
YARD: Hours = (0, 0, 0, 0, 0, 0.15, 0.7, 1, 0.8, 0.9, 0.9, 0.6, 0.4, 0.8, 0.9, 0.8, 0.9, 0.5, 0.15, 0.08, 0.03, 0, 0, 0)


def share(hours: Hours, clock_s: float) -> float:
    """The share at a moment, between the middles of the hours."""
    at = (clock_s % DAY_S) / 3600 - 0.5
    before = int(at // 1)
    part = at - before
    return hours[before % 24] * (1 - part) + hours[(before + 1) % 24] * part


def is_between(clock_s: float, from_h: float, to_h: float) -> bool:
    """Whether the clock shows a time in [from_h, to_h); past midnight when ``to_h`` is the smaller one."""
    hour = (clock_s % DAY_S) / 3600
    return from_h <= hour < to_h if from_h <= to_h else hour >= from_h or hour < to_h
