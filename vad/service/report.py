"""The HTML report of a scan: one file, no network, pictures inside."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.atomic import write_atomically
from vad.evaluation.page import image, page
from vad.service.scan import FileResult, Incident
from vad.video.recording import pictures_at

WIDTH, HEIGHT = 960, 160
PICTURE_WIDTH = 480


def write_report(path: Path, results: Sequence[FileResult]) -> None:
    """Write atomically: an interrupted or failed write leaves an older report as it was. Raises VadError."""
    body = "\n".join(_file_section(result) for result in results)
    write_atomically(path, page("vad scan", f"<h1>What vad found</h1>{_explanation()}{body}").encode())


def _explanation() -> str:
    return (
        "<p>The curve is each frame's score: minus the decimal logarithm of the probability that footage like the "
        "beginning of this recording gives so unusual a frame. The dashed line is the threshold that the false-alarm "
        "budget allows. Grey: only learning, nothing is judged yet. Red: incidents. Everything is causal: nothing was "
        "looked ahead.</p>"
    )


def _file_section(result: FileResult) -> str:
    parts = [f"<h2>{html.escape(result.file)}</h2>"]
    if result.error:
        parts.append(f"<p class='error'>{html.escape(result.error)}</p>")
    if result.warning:
        parts.append(f"<p class='error'>{html.escape(result.warning)}</p>")
    if result.curve:
        count = len(result.incidents)
        parts.append(
            f"<p>{result.duration_s:.1f} s of video, {result.frames.scored} frames analysed, about "
            f"{result.model_width} px wide, {count} incident{'s' * (count != 1)}.</p>{_curve(result)}"
        )
        peaks_s = [incident.peak_s for incident in result.incidents]
        pictures = pictures_at(result.file, at_s=peaks_s, width=PICTURE_WIDTH, rotate=result.rotate)
        figures = (_figure(*pair) for pair in zip(result.incidents, pictures, strict=True))
        parts.append("<div class='incidents'>" + "".join(figures) + "</div>")
    return "".join(parts)


def _curve(result: FileResult) -> str:
    """Score and threshold over media time as SVG; the highest of the frames that share a pixel column is drawn."""
    curve = np.array(result.curve)  # (frames, 3): pts_s, score, threshold
    first_s = float(curve[0, 0])
    length_s = max(1e-6, float(curve[-1, 0]) - first_s)
    finite = curve[np.isfinite(curve[:, 2]), 2]
    top = 1.15 * float(max(1.0, curve[:, 1].max(), finite.max() if finite.size else 0.0))

    def x(at_s: float) -> float:
        return (at_s - first_s) / length_s * WIDTH

    def y(score: float) -> float:
        return HEIGHT - score / top * HEIGHT

    columns: dict[int, float] = {}
    for pts_s, score, _ in curve:
        columns[int(x(pts_s))] = max(columns.get(int(x(pts_s)), 0.0), score)
    line = " ".join(f"{column},{y(score):.1f}" for column, score in columns.items())
    limit = " ".join(f"{x(pts_s):.0f},{y(threshold):.1f}" for pts_s, _, threshold in curve if np.isfinite(threshold))
    bands = "".join(
        f"<rect class='band' x='{x(i.start_s):.1f}' y='0' width='{max(2.0, x(i.end_s) - x(i.start_s)):.1f}' "
        f"height='{HEIGHT}'/>"
        for i in result.incidents
    )
    learnt = x(result.judged_from_s) if result.judged_from_s is not None else WIDTH
    ticks = "".join(
        f"<text x='{x(first_s + share * length_s):.0f}' y='{HEIGHT + 14}' "
        f"text-anchor='{'start' if share == 0 else 'end' if share == 1 else 'middle'}'>"
        f"{first_s + share * length_s:.0f} s</text>"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT + 18}' role='img' aria-label='score over time'>"
        f"<rect class='learning' x='0' y='0' width='{learnt:.1f}' height='{HEIGHT}'/>{bands}"
        f"<polyline class='limit' points='{limit}'/><polyline class='curve' points='{line}'/>{ticks}</svg>"
    )


def _figure(incident: Incident, picture: NDArray[np.uint8] | None) -> str:
    shown = "" if picture is None else image(_outlined(picture, incident), alt="the peak")
    reasons = html.escape(", ".join(incident.reasons))
    return (
        f"<figure>{shown}<figcaption><b>{incident.start_s:.1f} to {incident.end_s:.1f} s</b>: {reasons}<br>"
        f"peak {incident.peak_score:.1f} at {incident.peak_s:.1f} s, threshold {incident.threshold:.1f}"
        "</figcaption></figure>"
    )


def _outlined(picture: NDArray[np.uint8], incident: Incident) -> NDArray[np.uint8]:
    """The picture at the peak (height, width, 3) BGR with the incident's boxes."""
    height, width = picture.shape[:2]
    for region in incident.last.regions:
        corner = (int(region.x0 * width), int(region.y0 * height))
        opposite = (int(region.x1 * width), int(region.y1 * height))
        cv2.rectangle(picture, corner, opposite, (40, 40, 230), 2)
    return picture
