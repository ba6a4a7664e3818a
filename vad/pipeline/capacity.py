"""How many cameras this machine holds: a short scene through the very code that cameras go through, by CPU time.

An estimate for cameras of one kind, 640x360 H.264 at 25 frames a second; larger pictures cost more to decode, a GPU
takes the network off the CPU, many cameras share a call of the network. Enough to warn before a machine is asked for
twice what it has.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from vad.config import MODEL_WIDTHS, CameraConfig, ModelSettings, SiteConfig
from vad.config.overlay import read_overlay
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.cores import usable_cores
from vad.pipeline.scan import Scan
from vad.video.synthetic import Scene, encode

SAMPLE_S = 5.0
SAMPLE_FPS = 25
USABLE = 0.8
"""Share of the cores that cameras may take; the rest is for bursts, delivery and whoever asks for metrics."""

SURE_PER_CORE = 4
"""Cameras that any core holds: up to here nothing is measured."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """``cores_per_camera`` is what one camera of the sample's kind takes of one core."""

    cores_per_camera: float
    cores: float

    @property
    def cameras(self) -> int:
        return max(1, int(USABLE * self.cores / self.cores_per_camera))


def measure_capacity(model: ModelSettings, *, analysis_fps: float, model_width: int = MODEL_WIDTHS[0]) -> Capacity:
    """Takes about two seconds of a machine that is not busy otherwise; nothing else of this process may run meanwhile.

    Raises WeightsError and EngineError as the engine itself does.
    """
    weights = load_weights(model.weights)
    runner = make_runner(weights, device=model.device, threads=model.threads, max_batch=1, skip_still=model.skip_still)
    with tempfile.TemporaryDirectory(prefix="vad-capacity-") as folder:
        sample = Path(folder) / "sample.mp4"
        encode(Scene(seed=1, fps=SAMPLE_FPS, width=640, height=360), sample, seconds=SAMPLE_S)
        camera = CameraConfig(url=str(sample), analysis_fps=analysis_fps)
        cost_s = []
        for _ in range(2):  # the first run loads and compiles
            before_s = time.process_time()
            for _score in Scan(sample, camera=camera, runner=runner, model_width=model_width):
                pass
            cost_s.append(time.process_time() - before_s)
    return Capacity(cost_s[-1] / SAMPLE_S, usable_cores())


def too_many(site: SiteConfig) -> str | None:
    """What to tell whoever configured more cameras than the machine holds; None when it holds them.

    Those added and removed at run time count as they are, and at the narrowest width where it is ``auto``.
    Measures only where there are enough cameras to make it
    doubtful (``measure_capacity`` says what it raises).
    """
    cameras = read_overlay(site.storage.cameras_file).cameras_of(site).values()
    paced = [camera for camera in cameras if camera.realtime or not camera.is_file]
    if len(paced) <= SURE_PER_CORE * usable_cores():
        return None
    analysis_fps = sum(camera.analysis_fps for camera in paced) / len(paced)
    widths = [MODEL_WIDTHS[0] if camera.model_width == "auto" else camera.model_width for camera in paced]
    width = round(sum(widths) / len(widths))
    capacity = measure_capacity(site.model, analysis_fps=analysis_fps, model_width=width)
    if len(paced) <= capacity.cameras:
        return None
    return (
        f"{len(paced)} cameras; got room for about {capacity.cameras} of 640x360 at {SAMPLE_FPS} frames/s, analysed at "
        f"{analysis_fps:.3g} and {width} px wide ({capacity.cores_per_camera:.3f} of a core each, "
        f"{capacity.cores:.3g} cores); what does not fit will be analysed at a lower rate"
    )
