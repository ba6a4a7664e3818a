"""Frames scored a second: the carried-state model against the ConvLSTM autoencoder of Chong and Tay 2017.

The classic network ("Abnormal Event Detection in Videos using Spatiotemporal Autoencoder", ISNN 2017) is rebuilt from
the paper: clips of 10 frames at 227 x 227. An answer for each frame as it arrives costs it a whole clip, a window that
slides; in clips that do not overlap it costs a tenth of one, and answers come late. Both are printed, and ours against
both. Decoding and resizing are in neither figure.

The classic network costs the same whatever it sees. Ours does not, so it is given three films: noise, where each block
of each frame is new and tries all candidates for its flow, the dearest there is and what the ratios are taken from; a
scene in which three things cross a textured ground; and that ground alone, still but for a camera's noise.

All works are measured in turn, several rounds in one run, and the median of the rounds' medians is taken; with one
thread it is CPU time that counts, so that others on the machine matter less.

    python benchmarks/model.py [--threads 1] [--seconds 5] [--json OUT] [--png OUT]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vad.model.cell_runner import CellRunner
from vad.model.weights import load_weights
from vad.types import Clip, Frame, Geometry, WallSource

CLASSIC_CLIP = 10
CLASSIC_SIDE = 227
CLIP_LENGTH = 4
WIDTH, HEIGHT = 160, 96
CAMERAS = (1, 8, 32)
ROUNDS = 5
WARM_CALLS = 4  # a run's first frames are looked at whole

Picture: TypeAlias = NDArray[np.uint8]  # (H, W)
Pictures: TypeAlias = NDArray[np.uint8]  # (T, H, W)


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


class Work(NamedTuple):
    """Something to be measured: each call answers for that many frames."""

    call: Callable[[], None]
    frames: int


def classic() -> Work:
    """One clip and its error per frame."""
    network = Classic().eval()
    clip = torch.rand(1, CLASSIC_CLIP, 1, CLASSIC_SIDE, CLASSIC_SIDE)

    def score() -> None:
        with torch.inference_mode():
            (network(clip) - clip).square().sum(dim=(2, 3, 4)).tolist()

    return Work(score, CLASSIC_CLIP)


def carried(runner: CellRunner, film: Pictures, cameras: int) -> Work:
    """One clip of each of ``cameras`` cameras served together, cell maps on the host included."""
    index = 0

    def score() -> None:
        nonlocal index
        pictures = [film[(index + t) % len(film)] for t in range(CLIP_LENGTH)]
        clips = [clip_of(f"camera{k}", pictures, first=index) for k in range(cameras)]
        index += CLIP_LENGTH
        runner(clips)

    return Work(score, cameras * CLIP_LENGTH)


def sliding() -> Work:
    """One new frame where nothing is carried: our network, a clip of CLASSIC_CLIP from the start."""
    runner = CellRunner(load_weights("base"), threads=torch.get_num_threads(), skip_still=False)
    pictures = list(noise(CLASSIC_CLIP))

    def score() -> None:
        runner.forget("camera")
        runner([clip_of("camera", pictures, first=0)])

    return Work(score, 1)


def clip_of(camera: str, pictures: Sequence[Picture], *, first: int) -> Clip:
    """At ten frames a second."""
    shape = Geometry(4 * WIDTH, 4 * HEIGHT, 4, WIDTH, HEIGHT)
    return Clip(
        tuple(
            Frame(camera, 1, first + t, 0.1 * (first + t), 0.0, WallSource.FILE, 0.0, shape, picture)
            for t, picture in enumerate(pictures)
        )
    )


def noise(count: int) -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH), dtype=np.uint8)


def scene(things: int) -> Pictures:
    """Things of 12 x 24 px that cross a textured ground by 2 px a frame, with a camera's noise; repeats seamlessly."""
    random = np.random.default_rng(1)
    ground = np.kron(random.integers(60, 180, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8)))
    textures = [np.kron(random.integers(0, 255, (4, 2)), np.ones((6, 6))) for _ in range(things)]
    span = WIDTH - 12
    film = ground + random.normal(0.0, 1.0, (span, HEIGHT, WIDTH))
    for t, picture in enumerate(film):
        for k, texture in enumerate(textures):
            left, top = (20 + 40 * k + 2 * t) % span, 10 + 25 * k
            picture[top : top + 24, left : left + 12] = texture
    return np.clip(film, 0, 255).astype(np.uint8)


def frames_per_s(works: Mapping[str, Work], seconds: float, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Each work's rate in each round, by the median of its calls; about ``seconds`` each in all, in turn."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        for _ in range(WARM_CALLS):
            work.call()
    for _ in range(ROUNDS):
        for name, work in works.items():
            started_s, taken_s = time.perf_counter(), []
            while not taken_s or time.perf_counter() - started_s < seconds / ROUNDS:
                begun_s = clock()
                work.call()
                taken_s.append(clock() - begun_s)
            rates[name].append(work.frames / float(np.median(taken_s)))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time per figure")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    films = {"noise": noise(CLIP_LENGTH), "scene": scene(3), "still": scene(0)}
    runners = {(f, n): CellRunner(load_weights("base"), threads=options.threads) for f in films for n in CAMERAS}
    works = {"classic": classic(), "sliding": sliding()}
    works |= {f"{f} {n}": carried(runner, films[f], n) for (f, n), runner in runners.items()}
    rounds = frames_per_s(works, options.seconds, time.process_time if options.threads == 1 else time.perf_counter)
    share = {f: sum(r.cells_looked_at for (g, _), r in runners.items() if g == f) for f in films}
    share = {f: n / sum(r.cells_seen for (g, _), r in runners.items() if g == f) for f, n in share.items()}
    result = summary(rounds, share) | {"threads": options.threads}
    show(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.png:
        draw(result, options.png)


def summary(rounds: Mapping[str, list[float]], share: Mapping[str, float]) -> dict[str, Any]:
    """``rounds`` are frames a second; ``share`` is that of the cells looked at, by film."""
    rate = {name: float(np.median(rates)) for name, rates in rounds.items()}
    live = rate["classic"] / CLASSIC_CLIP  # a clip for each frame
    return {
        "classic_live_frames_per_second": live,
        "classic_batch_frames_per_second": rate["classic"],
        "carried_frames_per_second": {film: {str(n): rate[f"{film} {n}"] for n in CAMERAS} for film in share},
        "share_of_cells_looked_at": dict(share),
        "sliding_frames_per_second": rate["sliding"],
        "ratio_live": rate["noise 1"] / live,
        "ratio_batch": rate["noise 8"] / rate["classic"],
        "repetitions": {f"{name.replace(' ', '_')}_fps": list(rates) for name, rates in rounds.items()},
    }


def show(result: Mapping[str, Any]) -> None:
    live, batched = result["classic_live_frames_per_second"], result["classic_batch_frames_per_second"]
    print(f"Chong and Tay 2017, live, a window slides by a frame:  {live:8.1f} frames/s")
    print(f"Chong and Tay 2017, batched, clips do not overlap:     {batched:8.1f} frames/s")
    sliding_fps = result["sliding_frames_per_second"]
    print(f"our network without a carried state, a window slides:  {sliding_fps:8.1f} frames/s")
    for film, rates in result["carried_frames_per_second"].items():
        said = f"{film} ({100.0 * result['share_of_cells_looked_at'][film]:.0f} % of cells looked at)"
        print(f"carried state, {said:38s}", ", ".join(f"{n} cameras: {r:,.0f}" for n, r in rates.items()), "frames/s")
    print(f"live, 1 camera of noise against the sliding window:           {result['ratio_live']:6.1f} times as fast")
    print(f"batched, 8 cameras of noise against clips without overlap:    {result['ratio_batch']:6.1f} times as fast")
    print("(target: 20 times, aim: 60)")


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Frames a second, one bar a work; the axis is logarithmic."""
    from matplotlib.figure import Figure

    bars = {
        "Chong and Tay 2017, live": result["classic_live_frames_per_second"],
        "Chong and Tay 2017, batched": result["classic_batch_frames_per_second"],
        "ours, state not carried": result["sliding_frames_per_second"],
    }
    for film, rates in result["carried_frames_per_second"].items():
        bars |= {f"ours, {film}, {n} camera{'s' if n != '1' else ''}": rate for n, rate in rates.items()}
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.bar_label(axes.barh(list(bars), list(bars.values())), fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel=f"frames a second, {result['threads']} thread(s)")
    axes.margins(x=0.1)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
