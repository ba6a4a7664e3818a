"""From a frame's cues on the common scale to its score: what spoke, where, and what it says."""

from __future__ import annotations

from typing import NamedTuple

from vad.scoring import kernels_frame
from vad.scoring.cues import Cues
from vad.scoring.findings import findings_of
from vad.scoring.kernels import Mask
from vad.scoring.places import regions_of
from vad.scoring.scale import Judged, Scale
from vad.scoring.tuning import CUES, REASONS
from vad.types import CellMap, Finding, FrameScore, HealthIssue, Reason, Stage

PART = 0.5
"""Of the strongest cue's exponent: what comes to that has a part in what all come to together."""


class Standing(NamedTuple):
    """What a judgement needs to know of the camera besides its cues."""

    stage: Stage  # not cold
    threshold: float
    issue: HealthIssue | None
    judged: Mask  # (gh, gw) cells that are judged


def judgement(cells: CellMap, frame: Judged, standing: Standing, *, cues: Cues, scale: Scale) -> FrameScore:
    """The score of a frame, whose ``cues`` and ``scale`` have just been brought to it."""
    exponents = frame.exponents.tolist()
    score = max(exponents)
    strongest = exponents.index(max(exponents[: len(CUES)]))
    heat = kernels_frame.heat(cues.maps, strongest, standing.judged, score)
    reasons = spoke(exponents, standing.threshold) if score > standing.threshold else ()
    geometry, objects = cells.frame.geometry, cues.objects.tracks
    return FrameScore(
        frame=cells.frame,
        score=score,
        threshold=standing.threshold,
        p_value=10.0**-score,
        stage=standing.stage,
        reasons=reasons,
        evidence=dict(zip(REASONS, exponents, strict=True)),
        heat=heat,
        health=standing.issue,
        regions=regions_of(geometry, heat, score, standing.threshold, objects=objects) if reasons else (),
        findings=_findings(reasons, cells, frame, standing, cues, scale) if reasons else (),
    )


def _findings(
    reasons: tuple[Reason, ...], cells: CellMap, frame: Judged, standing: Standing, cues: Cues, scale: Scale
) -> tuple[Finding, ...]:
    return findings_of(
        reasons,
        cells=cells,
        evidences=cues.evidences,
        maps=cues.maps,
        judged=standing.judged,
        passages=cues.objects.passages,
        values=frame.values,
        usual=scale.usual,
        objects=cues.objects.tracks,
    )


def spoke(exponents: list[float], threshold: float) -> tuple[Reason, ...]:
    """The reasons above the threshold, strongest first; where all together are, also the cues that had a part."""
    least = [threshold] * len(REASONS)
    if exponents[-1] > threshold:
        least[:-1] = [min(threshold, PART * max(exponents[:-1]))] * len(CUES)
    above = [k for k, exponent in enumerate(exponents) if exponent > least[k]]
    return tuple([REASONS[k] for k in sorted(above, key=lambda k: -exponents[k])])
