"""What was caught: the events that came over the bus against the ground truth, by camera and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vad.events import AnomalyMessage

GRACE_BEFORE_S = 0.5
"""An event may open that much before the label begins: a figure casts its shadow and its outline ahead of it."""
GRACE_AFTER_S = 3.0
"""... or that much after the label ends: scores are smoothed and clips take time to fill."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An anomaly is visible at ``camera`` in [start_s, end_s) of its film."""

    camera: str
    kind: str
    start_s: float
    end_s: float


@dataclass(slots=True)
class Outcome:
    """What the events say against the ground truth."""

    truth: Sequence[Labelled]
    opened: list[AnomalyMessage] = field(default_factory=list)

    def match(self, event: AnomalyMessage) -> Labelled | None:
        """The labelled anomaly that an opening event belongs to; None = a false alarm."""
        at_s = event.data.pts_s
        for label in self.truth:
            in_time = label.start_s - GRACE_BEFORE_S <= at_s <= label.end_s + GRACE_AFTER_S
            if in_time and label.camera == event.camera:
                return label
        return None

    @property
    def several_cameras(self) -> bool:
        """Whether a label must name its camera to be understood."""
        return len({label.camera for label in self.truth}) > 1

    @property
    def caught(self) -> list[Labelled]:
        found = [self.match(event) for event in self.opened]
        return [label for label in self.truth if label in found]

    @property
    def missed(self) -> list[Labelled]:
        return [label for label in self.truth if label not in self.caught]

    @property
    def false_alarms(self) -> list[AnomalyMessage]:
        return [event for event in self.opened if self.match(event) is None]
