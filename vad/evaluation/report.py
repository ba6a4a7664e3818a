"""The report of an evaluation: one HTML file, no network, pictures inside."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from vad.evaluation.charts import delay_chart, precision_recall_chart, roc_chart, score_chart, top_of
from vad.evaluation.evaluate import Evaluation
from vad.evaluation.figures import Figures
from vad.evaluation.measures import Measure, Undefined, curve, one_class
from vad.evaluation.page import image, page
from vad.evaluation.pictures import Shown, worst_false_alarms, worst_misses
from vad.evaluation.protocols import LITERATURE_SIGMA_S, as_in_papers

STYLE = """
table { border-collapse: collapse; } th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; } tr { border-bottom: 1px solid var(--rule); } td.figure { text-align: right;
  white-space: nowrap; font-variant-numeric: tabular-nums; } td.live { font-weight: 650; } .wide { overflow-x: auto; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1.5rem; max-width: 46rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .3rem; }
.shown { display: grid; grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); gap: 1.2rem; }
@media (max-width: 30rem) { .shown { grid-template-columns: 1fr; } }
.frame { fill: none; stroke: var(--rule); } .rule { stroke: var(--rule); stroke-width: .6; }
.second { fill: none; stroke: var(--second); stroke-width: 1.2; stroke-dasharray: 5 2; }
.point { fill: var(--bad); } .event { fill: var(--bad); } .bar { fill: var(--line); }
svg text.missed { fill: var(--bad); }
.key { display: inline-block; width: 1.1em; height: .7em; border-radius: 2px; vertical-align: baseline;
  background: var(--band); }
"""

MEANINGS = {
    "auroc_micro": (
        "AUROC, micro",
        "The probability that an abnormal frame scores above a normal one, whatever clips the two are from. "
        "0.5 is chance, 1 is perfect.",
    ),
    "auroc_macro": ("AUROC, macro", "The same within each clip, then averaged over the clips that have both kinds."),
    "auroc_macro_padded": (
        "AUROC, macro, padded",
        "As some papers have it: one normal and one abnormal frame, ranked right by construction, are added to each "
        "clip. It flatters.",
    ),
    "average_precision": (
        "average precision",
        "How many flags are right, averaged over how many abnormal frames are found. Compare it with the share of "
        "abnormal frames, which is what chance gives.",
    ),
    "eer": ("equal error rate", "The error where misses and false alarms are equally frequent. Lower is better."),
    "rbdc": ("RBDC", "How many of the abnormal regions are pointed at, at up to one false region a frame."),
    "tbdc": ("TBDC", "How many abnormal tracks are pointed at for at least a tenth of their time, likewise."),
}


def report_page(evaluation: Evaluation, figures: Figures) -> str:
    """The whole document."""
    parts = (_head, _headline, _operating_point, _curves, _delays, _clips, _misses, _false_alarms)
    return page("vad evaluation", "".join(part(evaluation, figures) for part in parts), style=STYLE)


def _head(evaluation: Evaluation, figures: Figures) -> str:
    frames = sum(len(clip.scores) for clip in evaluation.clips)
    abnormal = sum(int(clip.labels.sum()) for clip in evaluation.clips)
    clips = len(evaluation.clips)
    return (
        f"<h1>How well vad tells what is normal in {html.escape(evaluation.request.dataset.resolve().name)}</h1>"
        f"<p>{clips} test clip{'s' * (clips != 1)}, {frames} frames, {abnormal} of them abnormal "
        f"({abnormal / frames:.0%}). Weights {html.escape(evaluation.weights)} "
        f"(<span class='quiet'>{evaluation.weights_sha256[:12]}</span>), calibrated on "
        f"{html.escape(evaluation.calibrated_on)}, analysed about {evaluation.model_width} px wide. "
        f"{evaluation.frames_per_second:.0f} frames a second, decoding included.</p>"
    )


def _headline(evaluation: Evaluation, figures: Figures) -> str:
    rows = "".join(
        f"<tr><th>{words}</th><td class='figure live'>{_figure(figures.live[name])}</td>"
        f"<td class='figure quiet'>{_figure(figures.literature[name]) if name in figures.literature else ''}</td>"
        f"<td class='quiet'>{meaning}</td></tr>"
        for name, (words, meaning) in MEANINGS.items()
    )
    undefined = "".join(
        f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in figures.undefined.items()
    )
    return (
        "<h2>Ranking of frames</h2>"
        "<p><b>Live</b> is what a camera gets: each frame is judged by what came before it, one threshold serves all "
        "clips, nothing is learnt from them, and every clip begins afresh. <b>Literature</b> is the protocol of many "
        f"papers, for comparison only: each clip's scores are smoothed both ways (Gaussian, {LITERATURE_SIGMA_S:g} s) "
        "and stretched from 0 to 1, both of which use the clip's own future.</p>"
        "<div class='wide'><table><tr><th></th><th>live</th><th>literature</th><th></th></tr>"
        f"{rows}</table></div>" + (f"<p>Without a meaning on these clips:</p><ul>{undefined}</ul>" if undefined else "")
    )


def _operating_point(evaluation: Evaluation, figures: Figures) -> str:
    point = figures.point
    rows = (
        ("precision", _figure(point.precision), "of the frames flagged, those that are abnormal"),
        ("recall", _figure(point.recall), "of the abnormal frames, those flagged"),
        ("F1", _figure(point.f1), "the harmonic mean of the two"),
        (
            "events caught",
            f"{point.events_caught} of {len(point.stretches)}",
            "unbroken runs of abnormal frames for which an event was raised",
        ),
        ("median delay, s", _figure(point.median_delay_s, 1), "from the first abnormal frame to the event"),
        (
            "false alarms",
            str(point.false_alarms),
            f"events raised in {point.normal_hours * 3600:.0f} s of normal footage "
            f"({_figure(point.false_alarms_per_hour, 1)} an hour)",
        ),
    )
    return (
        "<h2>At the threshold of the false-alarm budget</h2>"
        f"<p>The threshold allows {evaluation.request.false_alarms_per_day:g} false alarms a day and was set from "
        "normal footage alone, before any test clip was seen.</p><div class='wide'><table>"
        + "".join(
            f"<tr><th>{name}</th><td class='figure live'>{value}</td><td class='quiet'>{meaning}</td></tr>"
            for name, value, meaning in rows
        )
        + "</table></div>"
    )


def _curves(evaluation: Evaluation, figures: Figures) -> str:
    clips = evaluation.clips
    labels = np.concatenate([clip.labels for clip in clips])
    unclear = one_class(labels)
    if unclear:
        return f"<h2>ROC and precision</h2><p>Not drawn: {html.escape(unclear.reason)}.</p>"
    flagged = np.concatenate([clip.flagged for clip in clips])
    live = curve(labels, np.concatenate([clip.scores for clip in clips]))
    papers = curve(labels, np.concatenate([as_in_papers(clip.scores, fps=clip.fps) for clip in clips]))
    recall, false = float((labels & flagged).sum() / live.abnormal), float((~labels & flagged).sum() / live.normal)
    precision = figures.point.precision
    at = None if isinstance(precision, Undefined) else (recall, precision)
    return (
        "<h2>ROC and precision</h2><p class='quiet'>Solid: live. Dashed: literature. Dot: the budget's threshold.</p>"
        f"<div class='two'>{roc_chart(live, papers, at=(false, recall))}{precision_recall_chart(live, papers, at=at)}"
        "</div>"
    )


def _delays(evaluation: Evaluation, figures: Figures) -> str:
    if not figures.point.stretches:
        return ""
    return (
        "<h2>How soon an event came</h2><p class='quiet'>From the first abnormal frame of each run of abnormal frames "
        f"to the event raised for it.</p>{delay_chart(figures.point.stretches)}"
    )


def _clips(evaluation: Evaluation, figures: Figures) -> str:
    top = top_of(evaluation.clips)
    charts = ""
    for part in figures.clips:
        ranking = part.auroc.reason if isinstance(part.auroc, Undefined) else f"AUROC {part.auroc:.3f}"
        charts += (
            f"<h3>Clip {html.escape(part.clip.name)}</h3><p class='quiet'>{html.escape(ranking)}; {part.false_alarms} "
            f"false alarm{'s' * (part.false_alarms != 1)}</p>{score_chart(part.clip, part.stretches, top=top)}"
        )
    return (
        "<h2>Scores over the ground truth</h2><p>A score is minus the decimal logarithm of how often normal footage "
        "gives something so unusual. <span class='key'></span> Shaded: labelled abnormal. Dashed: the threshold. "
        "Triangles: an event was raised. All clips have one scale"
        f"{_cut(evaluation, top)}.</p>{charts}"
    )


def _cut(evaluation: Evaluation, top: float) -> str:
    highest = max(float(clip.scores.max()) for clip in evaluation.clips)
    return f", cut at {top:.1f} (the highest score is {highest:.1f})" if highest > top else ""


def _misses(evaluation: Evaluation, figures: Figures) -> str:
    shown = worst_misses(evaluation.clips)
    words = "The longest runs of abnormal frames below the threshold, each by a frame of low score. Green: the labels."
    return gallery("Worst misses", words, shown, "No abnormal frame was missed.")


def _false_alarms(evaluation: Evaluation, figures: Figures) -> str:
    shown = worst_false_alarms(evaluation.clips)
    words = "Normal frames, highest score first. Red: what was reported, where the frame was flagged."
    return gallery("Worst false alarms", words, shown, "There is no normal frame.")


def gallery(title: str, words: str, shown: Sequence[Shown], none: str) -> str:
    """A heading, ``words`` on what is shown, and each frame beside its heat map; ``none`` where there is none."""
    if not shown:
        return f"<h2>{title}</h2><p>{none}</p>"
    heat = "Beside each frame its heat map: brightest at the threshold, or at the frame's score where that is higher."
    return f"<h2>{title}</h2><p>{words} {heat}</p><div class='shown'>{''.join(map(_pair, shown))}</div>"


def _pair(shown: Shown) -> str:
    clip, index = shown.clip, shown.index
    threshold = clip.thresholds[index]
    limit = f"threshold {threshold:.1f}" if np.isfinite(threshold) else "no threshold yet"
    return (
        f"<figure><div class='pair'>{image(shown.frame, alt='the frame')}{image(shown.heat, alt='its heat map')}</div>"
        f"<figcaption><b>{html.escape(clip.name)}</b>, frame {index} ({clip.times_s[index]:.1f} s): score "
        f"{clip.scores[index]:.1f}, {limit}; {html.escape(shown.why)}</figcaption></figure>"
    )


def _figure(measure: Measure, digits: int = 3) -> str:
    return "–" if isinstance(measure, Undefined) else f"{measure:.{digits}f}"
