"""The kinds of worlds, what can be planted in them, and which seeds are for what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DAY_S = 86400.0

TRAINING_SEEDS = range(1000)
"""Seeds of worlds that anything may be learnt from or tuned on."""

JUDGED_SEEDS = range(1000, 10000)
"""Seeds of worlds that figures are reported on, and nothing else."""


class WorldKind(StrEnum):
    """What a camera looks at."""

    STREET = "street"
    SHOP = "shop"
    YARD = "yard"
    CARE = "care"
    LINE = "line"


class PlantedKind(StrEnum):
    """What can happen that is not normal."""

    RUNNING = "running"
    VEHICLE_ON_WALK = "vehicle_on_walk"
    WRONG_WAY = "wrong_way"
    FIGHT = "fight"
    BAG_LEFT = "bag_left"
    FALL = "fall"
    CROWD = "crowd"
    CLIMBING = "climbing"
    AFTER_HOURS = "after_hours"
    INTRUDER = "intruder"
    LOITERING = "loitering"
    LYING = "lying"
    WANDERING_AT_NIGHT = "wandering_at_night"
    NO_SIGN_OF_LIFE = "no_sign_of_life"
    LINE_STOP = "line_stop"
    HALF_SPEED = "half_speed"
    REVERSE = "reverse"
    JAM = "jam"
    WRONG_PART = "wrong_part"
    MISSING_PART = "missing_part"
    PERSON_IN_CELL = "person_in_cell"


@dataclass(frozen=True, slots=True)
class Planted:
    """An anomaly that is to be seen in [start_s, end_s) of the world's time."""

    kind: PlantedKind
    start_s: float
    end_s: float
