"""The demo without ``--scene``: one camera, five anomalies in three quarters of a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from vad.service.demo.outcome import Labelled
from vad.service.demo.playing import play
from vad.service.demo.preparing import CAMERA, Film, learn, render, site_of
from vad.video.synthetic import DEMO_SECONDS, demo_scene, ground_truth

SEED = 6
NAME = "demo"
LEARNT_S = 180.0
LEARNT_FROM_S = 120.0
"""Scene time of the footage that is learnt from: normal life, long after the anomalies' time."""
FILM_FROM_S = 24.0
"""Scene time at which the film begins, ten seconds before the first anomaly."""
LEFT_BEHIND_S = 1.0
"""A second at rest instead of ten: the film ends before that."""


def run_demo(*, seed: int = SEED, console: Console) -> bool:
    """Learn, play, watch, report. True when any anomaly was caught."""
    title = "filming a synthetic scene (H.264, 640x360)"
    with tempfile.TemporaryDirectory(prefix="vad-demo-") as name:
        folder = Path(name)
        scene, calibration = demo_scene(seed=seed), folder / "normal.npz"
        truth = [
            Labelled(NAME, label.kind.value, label.start_s - FILM_FROM_S, label.end_s - FILM_FROM_S)
            for label in ground_truth(scene)
        ]
        film = Film(folder / "camera.mp4", scene, FILM_FROM_S, DEMO_SECONDS - FILM_FROM_S)
        normal = demo_scene(seed=seed, anomalies=False)
        earlier = Film(folder / "earlier.mp4", normal, LEARNT_FROM_S, LEARNT_S)
        render([earlier, film], title=title, console=console)
        learn([earlier.path], calibration, settings=CAMERA, console=console)
        outcome = play(
            site_of(
                {NAME: film.path},
                calibration,
                settings=CAMERA,
                storage=folder / "data",
                scoring={"left_behind_s": LEFT_BEHIND_S},
            ),
            truth,
            introduction=(
                f"One camera plays in real time. vad has watched it for {LEARNT_S / 60.0:.0f} minutes of normal life; "
                f"{len(truth)} things happen now that are not."
            ),
            learnt="three minutes",
            console=console,
        )
    return bool(outcome.caught)
