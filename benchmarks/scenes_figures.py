"""The figures of ``benchmarks.scenes``: pure functions of judged clips.

Frames in which the scorer was cold are left out everywhere. A score in which the picture was unhealthy counts as the
engine counts it: it raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vad.config import ScoringSettings
from vad.evaluation.judged import Incident, JudgedClip
from vad.evaluation.measures import Flags, Undefined, Values, auroc
from vad.evaluation.operating_point import operating_point
from vad.scoring.tuning import REASONS
from vad.types import Reason

EQUAL_FALSE_ALARMS = (2, 5, 10, 20)
LEAST_NORMAL_S = 60.0
"""Judged normal footage below which "no worse than the best cue here" says nothing of a scene."""

CLOCK_RANKS = 0.9
GROWS_WITH_TIME = {"static_change"}
NO_HARM_OVERALL, NO_HARM_HERE = 0.01, 0.05
SETTINGS = ScoringSettings()

Score = Callable[[JudgedClip], Values]


def all_cues(clip: JudgedClip) -> Values:
    """The detector's own score."""
    return clip.scores


def seconds(clip: JudgedClip) -> Values:
    """The clock control: it knows nothing but the time since the clip began."""
    return clip.times_s


def only(k: int) -> Score:
    """Cue ``k`` alone."""
    return lambda clip: clip.cue_scores[:, k]


def without(k: int) -> Score:
    """The largest of the other cues' scores; without a cue, also without what it had a part in."""
    return lambda clip: np.delete(clip.cue_scores, [k, REASONS.index(Reason.COMBINED)], axis=1).max(axis=1)


SCORES: dict[str, Score] = {
    "all": all_cues,
    "clock": seconds,
    **{reason.value: only(k) for k, reason in enumerate(REASONS)},
    **{f"without {reason.value}": without(k) for k, reason in enumerate(REASONS)},
}
CUES = tuple(reason.value for reason in REASONS)


@dataclass(frozen=True, slots=True)
class SceneFigures:
    """One dataset's. AUROC are frame level over its judged frames in one pool, None where undefined."""

    name: str
    learnt: str
    normal_s: float  # judged normal footage
    abnormal_s: float
    blind_s: float  # judged footage in which health kept the camera from judging
    auroc: dict[str, float | None]
    caught: int
    events: int
    false_alarms: int
    delays_s: tuple[float, ...]
    caught_by: dict[str, int] = field(default_factory=dict)  # incidents that caught something, by each of their reasons
    false_by: dict[str, int] = field(default_factory=dict)


def scene_figures(name: str, learnt: str, clips: Sequence[JudgedClip]) -> SceneFigures:
    """Of the clips of one dataset."""
    labels = np.concatenate([clip.labels[clip.judged] for clip in clips])
    points = [operating_point([clip]) for clip in clips]
    stretches = [stretch for point in points for stretch in point.stretches]
    caught_by, false_by = _reasons(clips)
    return SceneFigures(
        name=name,
        learnt=learnt,
        normal_s=sum(float((clip.judged & ~clip.labels).sum()) / clip.fps for clip in clips),
        abnormal_s=sum(float((clip.judged & clip.labels).sum()) / clip.fps for clip in clips),
        blind_s=sum(sum(issue is not None for issue in clip.health) / clip.fps for clip in clips),
        auroc={key: _auroc(labels, clips, score) for key, score in SCORES.items()},
        caught=sum(stretch.delay_s is not None for stretch in stretches),
        events=len(stretches),
        false_alarms=sum(point.false_alarms for point in points),
        delays_s=tuple(stretch.delay_s for stretch in stretches if stretch.delay_s is not None),
        caught_by=caught_by,
        false_by=false_by,
    )


def _auroc(labels: Flags, clips: Sequence[JudgedClip], score: Score) -> float | None:
    value = auroc(labels, np.concatenate([score(clip)[clip.judged] for clip in clips]))
    return None if isinstance(value, Undefined) else value


def _reasons(clips: Sequence[JudgedClip]) -> tuple[dict[str, int], dict[str, int]]:
    """How many incidents each cue had a part in: of those that caught something, and of the false ones."""
    caught, false = dict.fromkeys(CUES, 0), dict.fromkeys(CUES, 0)
    for clip in clips:
        for incident in clip.incidents:
            by = false if operating_point([_with_incidents(clip, [incident])]).false_alarms else caught
            for reason in incident.reasons:
                by[reason] += 1
    return caught, false


def _with_incidents(clip: JudgedClip, incidents: Sequence[Incident]) -> JudgedClip:
    values = {name: getattr(clip, name) for name in JudgedClip.__dataclass_fields__}
    return JudgedClip(**{**values, "incidents": tuple(incidents)})


def opened_frames(clip: JudgedClip, scores: Values, threshold: float) -> list[int]:
    """Frames at which incidents would open under another score or threshold: the engine's rule of opening and closing.

    Anomalous for ``open_after_s`` within twice that opens; ``close_after_s`` below ``hysteresis`` closes.
    """
    recent: list[tuple[float, float]] = []
    opened, is_open, last_hot_s = [], False, 0.0
    low = SETTINGS.hysteresis * threshold
    for index in np.flatnonzero(scores >= low).tolist():
        now_s = float(clip.times_s[index])
        step_s = min(1.0, now_s - float(clip.times_s[index - 1])) if index else 0.0
        if is_open and now_s - last_hot_s >= SETTINGS.close_after_s:
            is_open, recent = False, []
        last_hot_s = now_s
        if is_open or scores[index] <= threshold or clip.health[index] is not None or not clip.judged[index]:
            continue
        recent = [(at_s, step) for at_s, step in recent if now_s - at_s <= 2.0 * SETTINGS.open_after_s + 1e-9]
        recent.append((now_s, step_s))
        if sum(step for _, step in recent) >= SETTINGS.open_after_s - 1e-9:
            opened.append(index)
            is_open, recent = True, []
    return opened


@dataclass(frozen=True, slots=True)
class EqualFalseAlarms:
    """The most events caught at one threshold for all clips that raises at most ``allowed`` false alarms.

    Not always the lowest such threshold: far below, an incident that opened on normal footage lasts into what follows.
    """

    allowed: int
    threshold: float
    caught: int
    false_alarms: int


def at_equal_false_alarms(clips: Sequence[JudgedClip], score: Score) -> list[EqualFalseAlarms]:
    """For each number of EQUAL_FALSE_ALARMS."""
    values = [score(clip) for clip in clips]
    pool = np.concatenate([v[clip.judged] for v, clip in zip(values, clips, strict=True)])
    levels = np.unique(np.quantile(pool[pool > 0.0], np.linspace(0.3, 1.0, 161))) if (pool > 0.0).any() else np.zeros(1)
    found: dict[int, EqualFalseAlarms] = {}
    for level in levels[::-1].tolist():
        point = operating_point(
            [
                _with_incidents(clip, [Incident(i, i, ()) for i in opened_frames(clip, v, level)])
                for clip, v in zip(clips, values, strict=True)
            ]
        )
        for allowed in EQUAL_FALSE_ALARMS:
            before = found.get(allowed)
            if point.false_alarms <= allowed and (before is None or point.events_caught > before.caught):
                found[allowed] = EqualFalseAlarms(allowed, level, point.events_caught, point.false_alarms)
    return [found[allowed] for allowed in EQUAL_FALSE_ALARMS if allowed in found]


@dataclass(frozen=True, slots=True)
class Harm:
    """All cues together against the best single one, in AUROC.

    A cue that grows with time is no rival on a scene where the clock control ranks as well.
    """

    best: str  # the cue with the highest mean over the scenes
    best_mean: float
    all_mean: float
    worse_here: tuple[tuple[str, str, float, float], ...]  # scene, its best cue, that cue's AUROC, that of all

    @property
    def is_none(self) -> bool:
        return self.all_mean >= self.best_mean - NO_HARM_OVERALL and not self.worse_here


def harm(scenes: Sequence[SceneFigures]) -> Harm | None:
    """None where no scene has both normal and abnormal frames."""
    ranked = [scene for scene in scenes if scene.auroc["all"] is not None]
    if not ranked:
        return None
    rivals = {scene.name: _rivals(scene) for scene in ranked}
    means = {key: float(np.mean([scene.auroc[key] for scene in ranked])) for key in ("all", *CUES)}
    best = max(set.intersection(*rivals.values()), key=lambda cue: means[cue])
    worse = []
    for scene in ranked:
        here = max(rivals[scene.name], key=lambda cue: scene.auroc[cue] or 0.0)
        top, together = scene.auroc[here] or 0.0, scene.auroc["all"] or 0.0
        if scene.normal_s >= LEAST_NORMAL_S and together < top - NO_HARM_HERE:
            worse.append((scene.name, here, top, together))
    return Harm(best, means[best], means["all"], tuple(worse))


def _rivals(scene: SceneFigures) -> set[str]:
    by_time = GROWS_WITH_TIME if (scene.auroc["clock"] or 0.0) >= CLOCK_RANKS else set()
    return set(CUES) - {Reason.COMBINED.value} - by_time  # which is no single one
