"""A small labelled dataset of a synthetic camera, made once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.video.clips import write_video
from vad.video.labels import intervals_of
from vad.video.synthetic import Anomaly, AnomalyKind, Layout, Scene

WIDTH, HEIGHT, FPS = 320, 180, 10


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train: two clips of 9 s. Test: ``calm``, 4 s all normal, and ``vehicle``, 8 s, with masks and intervals."""
    root = tmp_path_factory.mktemp("small") / "dataset"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
    calm = _scene()
    write(calm, root / "train" / "1.mp4", first=0, frames=90)
    write(calm, root / "train" / "2.mp4", first=90, frames=90)
    write(calm, root / "test" / "calm.mp4", first=180, frames=40)
    busy = _scene(Anomaly(AnomalyKind.VEHICLE, 23.0))
    write(busy, root / "test" / "vehicle.mp4", first=200, frames=80)
    masks = np.zeros((80, HEIGHT, WIDTH), bool)
    for index, mask in enumerate(masks):
        for label in busy.labels(200 + index):
            rows = slice(int(label.y0 * HEIGHT), int(np.ceil(label.y1 * HEIGHT)))
            mask[rows, int(label.x0 * WIDTH) : int(np.ceil(label.x1 * WIDTH))] = True
    abnormal = masks.any(axis=(1, 2))
    assert 10 < abnormal.sum() < 70
    labels = {"calm": [0] * 40, "vehicle": intervals_of(abnormal)}
    (root / "labels.json").write_text(json.dumps(labels))
    packed = np.packbits(masks.reshape(80, -1), axis=1)
    np.savez(root / f"test_masks_packbits_{HEIGHT}x{WIDTH}.npz", vehicle=packed)
    return root


def _scene(*anomalies: Anomaly) -> Scene:
    return Scene(seed=7, width=WIDTH, height=HEIGHT, fps=float(FPS), anomalies=anomalies, layout=Layout.LANES)


def write(scene: Scene, path: Path, *, first: int, frames: int) -> None:
    """Frames ``first`` to ``first + frames - 1`` of the scene."""
    write_video(
        path,
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        frames=frames,
        luma=lambda index: scene.render(first + index, truth=False).luma,
    )
