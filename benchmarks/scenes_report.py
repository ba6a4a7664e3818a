"""The HTML page of ``benchmarks.scenes``: tables, every clip's score over its labels, worst misses and false alarms."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from benchmarks.scenes_figures import CUES, SCORES, EqualFalseAlarms, Harm, SceneFigures
from vad.evaluation.charts import score_chart, top_of
from vad.evaluation.judged import JudgedClip
from vad.evaluation.operating_point import operating_point
from vad.evaluation.page import page
from vad.evaluation.pictures import worst_false_alarms, worst_misses
from vad.evaluation.report import STYLE, gallery


def report(
    scenes: Sequence[SceneFigures],
    clips: Sequence[JudgedClip],
    equal: dict[str, list[EqualFalseAlarms]],
    together: Harm | None,
) -> str:
    """The whole document. Raises StreamError where a clip cannot be read again."""
    parts = [
        "<h1>The detector on many scenes</h1>",
        _totals(scenes, equal, together),
        _table(scenes),
        gallery(
            "Worst misses",
            "The longest runs of abnormal frames below the threshold, each by a frame of low score. Green: the labels.",
            worst_misses(clips),
            "No abnormal frame was missed.",
        ),
        gallery(
            "Worst false alarms",
            "Normal frames of the highest scores. Red: what was reported, where the frame was flagged.",
            worst_false_alarms(clips),
            "There is no normal frame.",
        ),
        _charts(clips),
    ]
    return page("vad on many scenes", "".join(parts), style=STYLE)


def _totals(scenes: Sequence[SceneFigures], equal: dict[str, list[EqualFalseAlarms]], together: Harm | None) -> str:
    ranked = [scene for scene in scenes if scene.auroc["all"] is not None]
    rows = ""
    for key in SCORES:
        mean = f"{np.mean([scene.auroc[key] for scene in ranked]):.3f}" if ranked else "–"
        cells = "".join(f"<td class='figure'>{point.caught}</td>" for point in equal[key])
        rows += f"<tr><th>{html.escape(key)}</th><td class='figure'>{mean}</td>{cells}</tr>"
    heads = "".join(f"<th>caught at ≤ {point.allowed} false</th>" for point in equal["all"])
    harm = ""
    if together is not None:
        verdict = "no harm" if together.is_none else "harm"
        harm = (
            f"<p>The combination against the best single cue ({html.escape(together.best)}): "
            f"{together.all_mean:.3f} against {together.best_mean:.3f}: {verdict}.</p>"
        )
    caught, events = sum(s.caught for s in scenes), sum(s.events for s in scenes)
    false, normal_s = sum(s.false_alarms for s in scenes), sum(s.normal_s for s in scenes)
    return (
        f"<p>{len(scenes)} scenes, one threshold. At the budget: {caught} of {events} events caught, {false} false "
        f"alarms in {normal_s / 60:.1f} minutes of normal footage.</p>{harm}"
        f"<div class='wide'><table><tr><th></th><th>mean AUROC</th>{heads}</tr>{rows}</table></div>"
    )


def _table(scenes: Sequence[SceneFigures]) -> str:
    heads = "".join(f"<th>{name}</th>" for name in ("all", "clock", *CUES))
    rows = ""
    for scene in scenes:
        values = "".join(
            f"<td class='figure'>{'–' if scene.auroc[key] is None else f'{scene.auroc[key]:.3f}'}</td>"
            for key in ("all", "clock", *CUES)
        )
        rows += (
            f"<tr><th>{html.escape(scene.name)}</th><td class='figure'>{scene.normal_s:.0f} s</td>"
            f"<td class='figure'>{scene.blind_s:.0f} s</td><td class='figure'>{scene.caught} of {scene.events}</td>"
            f"<td class='figure'>{scene.false_alarms}</td>{values}</tr>"
        )
    return (
        "<h2>Scene by scene</h2><p class='quiet'>AUROC of frames, live. The clock control knows nothing but the time "
        "since the clip began.</p><div class='wide'><table><tr><th></th><th>normal</th><th>blind</th><th>caught</th>"
        f"<th>false</th>{heads}</tr>{rows}</table></div>"
    )


def _charts(clips: Sequence[JudgedClip]) -> str:
    top = top_of(clips)
    charts = "".join(
        f"<h3>{html.escape(clip.name)}</h3>{score_chart(clip, operating_point([clip]).stretches, top=top)}"
        for clip in clips
    )
    return f"<h2>Scores over the labels</h2>{charts}"
