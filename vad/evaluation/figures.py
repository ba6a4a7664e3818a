"""The figures of an evaluation: computed once, for the table, the JSON and the report alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vad.evaluation.evaluate import Evaluation
from vad.evaluation.judged import JudgedClip
from vad.evaluation.measures import Measure, Undefined, auroc
from vad.evaluation.operating_point import OperatingPoint, Stretch, operating_point
from vad.evaluation.protocols import LITERATURE_SIGMA_S, Measures, literature, live
from vad.evaluation.regions import ALPHA, BETA


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """One clip's own."""

    clip: JudgedClip
    auroc: Measure
    stretches: tuple[Stretch, ...]
    false_alarms: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of them."""

    live: Measures
    literature: Measures
    point: OperatingPoint
    clips: tuple[ClipFigures, ...]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Figures:
        clips = evaluation.clips
        return cls(live(clips), literature(clips), operating_point(clips), tuple(_of_clip(clip) for clip in clips))

    @property
    def undefined(self) -> dict[str, str]:
        """``{"live.eer": why}`` of each measure that has no meaning on these clips."""
        point = self._point()
        parts = {"live": self.live, "literature": self.literature, "operating_point": point}
        return {
            f"{part}.{name}": value.reason
            for part, measures in parts.items()
            for name, value in measures.items()
            if isinstance(value, Undefined)
        }

    def _point(self) -> dict[str, Measure]:
        point = self.point
        return {
            "precision": point.precision,
            "recall": point.recall,
            "f1": point.f1,
            "false_alarms_per_hour": point.false_alarms_per_hour,
            "median_delay_s": point.median_delay_s,
        }

    def as_json(self, evaluation: Evaluation) -> dict[str, Any]:
        """What ``--json`` holds; see ``docs/evaluation.md``. A measure without a meaning is null."""
        request, point = evaluation.request, self.point
        return {
            "dataset": str(request.dataset),
            "weights": {"name": evaluation.weights, "sha256": evaluation.weights_sha256},
            "calibrated_on": evaluation.calibrated_on,
            "model_width": evaluation.model_width,
            "false_alarms_per_day": request.false_alarms_per_day,
            "frames": sum(len(clip.scores) for clip in evaluation.clips),
            "abnormal_frames": sum(int(clip.labels.sum()) for clip in evaluation.clips),
            "live": _values(self.live),
            "literature": {**_values(self.literature), "gaussian_sigma_s": LITERATURE_SIGMA_S},
            "operating_point": {
                **_values(self._point()),
                "false_alarms": point.false_alarms,
                "normal_hours": point.normal_hours,
                "events_caught": point.events_caught,
                "events_total": len(point.stretches),
            },
            "region_criteria": {"alpha": ALPHA, "beta": BETA},
            "undefined": self.undefined,
            "clips": {figures.clip.name: _clip_json(figures) for figures in self.clips},
            "frames_per_second": round(evaluation.frames_per_second, 1),
        }


def _of_clip(clip: JudgedClip) -> ClipFigures:
    point = operating_point([clip])
    return ClipFigures(clip, auroc(clip.labels, clip.scores), point.stretches, point.false_alarms)


def _clip_json(figures: ClipFigures) -> dict[str, Any]:
    clip = figures.clip
    return {
        "frames": len(clip.scores),
        "abnormal_frames": int(clip.labels.sum()),
        "fps": clip.fps,
        "auroc": _value(figures.auroc),
        "false_alarms": figures.false_alarms,
        "stretches": [
            {"first": s.first, "last_exclusive": s.last, "delay_s": None if s.delay_s is None else round(s.delay_s, 3)}
            for s in figures.stretches
        ],
        "events": [
            {"opened_frame": incident.opened, "last_frame": incident.last, "reasons": list(incident.reasons)}
            for incident in clip.incidents
        ],
        "scores": [round(float(score), 5) for score in clip.scores],
        "thresholds": [round(float(t), 5) if np.isfinite(t) else None for t in clip.thresholds],
    }


def _values(measures: Measures) -> dict[str, float | None]:
    return {name: _value(value) for name, value in measures.items()}


def _value(measure: Measure) -> float | None:
    return None if isinstance(measure, Undefined) else round(measure, 6)
