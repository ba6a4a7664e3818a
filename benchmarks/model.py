"""Frames scored a second: the carried-state model against the ConvLSTM autoencoder of Chong and Tay 2017.

The classic network ("Abnormal Event Detection in Videos using Spatiotemporal Autoencoder", ISNN 2017) is rebuilt from
the paper: clips of 10 frames at 227 x 227. A frame that arrives live costs it a whole clip; in batches of clips that
do not overlap, a tenth of one. Both figures are printed. Same machine, same run, the same number of threads for both,
random pictures (neither network's cost depends on what it sees); decoding and resizing are in neither figure.

    python benchmarks/model.py [--threads 1] [--seconds 5] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vad.model.cell_runner import CellRunner
from vad.model.weights import load_weights
from vad.types import Clip, Frame, Geometry, WallSource

CLASSIC_CLIP = 10
CLASSIC_SIDE = 227
CLIP_LENGTH = 4
WIDTH, HEIGHT = 160, 96
CAMERAS = (1, 8, 32)


class ClassicConvLstm(nn.Module):
    """One ConvLSTM layer over a whole clip, its state starting at zero: (N, T, C, H, W) -> (N, T, hidden, H, W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        n, _, _, height, width = frames.shape
        hidden = cell = frames.new_zeros((n, self.hidden, height, width))
        outputs = []
        for frame in frames.unbind(dim=1):
            keep, forget, out, value = self.gates(torch.cat((frame, hidden), dim=1)).chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(keep) * torch.tanh(value)
            hidden = torch.sigmoid(out) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1)


class Classic(nn.Module):
    """Chong and Tay's network, layer by layer as in their figure 2: (N, 10, 1, 227, 227) -> the same, rebuilt."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 128, 11, stride=4), nn.Tanh(), nn.Conv2d(128, 64, 5, stride=2), nn.Tanh()
        )
        self.temporal = nn.Sequential(ClassicConvLstm(64, 64), ClassicConvLstm(64, 32), ClassicConvLstm(32, 64))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(64, 128, 5, stride=2), nn.Tanh(), nn.ConvTranspose2d(128, 1, 11, stride=4)
        )

    def forward(self, clip: Tensor) -> Tensor:
        n, t = clip.shape[:2]
        encoded = self.encoder(clip.flatten(0, 1))  # (N T, 64, 26, 26)
        hidden = self.temporal(encoded.unflatten(0, (n, t)))
        rebuilt: Tensor = self.decoder(hidden.flatten(0, 1)).unflatten(0, (n, t))
        return rebuilt


def classic_seconds_per_clip(seconds: float) -> float:
    """Median time of one clip and its error per frame."""
    network = Classic().eval()
    clip = torch.rand(1, CLASSIC_CLIP, 1, CLASSIC_SIDE, CLASSIC_SIDE)

    def score() -> None:
        with torch.inference_mode():
            (network(clip) - clip).square().sum(dim=(2, 3, 4)).tolist()

    return _median_s(score, seconds)


def carried_seconds_per_frame(cameras: int, seconds: float) -> float:
    """Median time of one frame of ``cameras`` cameras served together, cell maps on the host included."""
    runner = CellRunner(load_weights("base"), threads=torch.get_num_threads())
    random = np.random.default_rng(0)
    geometry = Geometry(4 * WIDTH, 4 * HEIGHT, 4, WIDTH, HEIGHT)
    pictures = random.integers(0, 256, (CLIP_LENGTH, HEIGHT, WIDTH), dtype=np.uint8)
    index = 0

    def score() -> None:
        nonlocal index
        clips = [
            Clip(
                tuple(
                    Frame(f"camera{k}", 1, index + t, 0.1 * (index + t), 0.0, WallSource.FILE, 0.0, geometry, picture)
                    for t, picture in enumerate(pictures)
                )
            )
            for k in range(cameras)
        ]
        index += CLIP_LENGTH
        runner(clips)

    return _median_s(score, seconds) / (cameras * CLIP_LENGTH)


def sliding_seconds_per_frame(seconds: float) -> float:
    """Median time of one new frame where nothing is carried: our network, a clip of CLASSIC_CLIP from the start."""
    runner = CellRunner(load_weights("base"), threads=torch.get_num_threads(), skip_still=False)
    shape = Geometry(4 * WIDTH, 4 * HEIGHT, 4, WIDTH, HEIGHT)
    pictures = np.random.default_rng(0).integers(0, 256, (CLASSIC_CLIP, HEIGHT, WIDTH), dtype=np.uint8)
    frames = [Frame("camera", 1, t, 0.1 * t, 0.0, WallSource.FILE, 0.0, shape, p) for t, p in enumerate(pictures)]

    def score() -> None:
        runner.forget("camera")
        runner([Clip(tuple(frames))])

    return _median_s(score, seconds)


def _median_s(work: Callable[[], None], seconds: float) -> float:
    work()
    times: list[float] = []
    started_s = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started_s < seconds:
        begun_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun_s)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time per figure")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clip_s = classic_seconds_per_clip(options.seconds)
    carried = {cameras: 1.0 / carried_seconds_per_frame(cameras, options.seconds) for cameras in CAMERAS}
    sliding = 1.0 / sliding_seconds_per_frame(options.seconds)
    live, batch = 1.0 / clip_s, CLASSIC_CLIP / clip_s
    result = {
        "threads": options.threads,
        "classic_live_frames_per_second": live,
        "classic_batch_frames_per_second": batch,
        "carried_frames_per_second": {str(cameras): rate for cameras, rate in carried.items()},
        "sliding_frames_per_second": sliding,
        "ratio_live": carried[1] / live,
        "ratio_batch": carried[8] / batch,
    }
    print(f"Chong and Tay 2017, a clip for each new frame:    {live:8.1f} frames/s")
    print(f"Chong and Tay 2017, clips that do not overlap:    {batch:8.1f} frames/s")
    for cameras, rate in carried.items():
        print(f"carried state, {cameras:3d} cameras, clips of {CLIP_LENGTH} frames:  {rate:8.1f} frames/s")
    print(f"our network without a carried state, sliding clip: {sliding:7.1f} frames/s")
    print(f"live: {result['ratio_live']:.0f} times as fast; batched: {result['ratio_batch']:.1f} times (target: 10)")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
