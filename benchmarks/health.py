"""For how much of the time a camera is blind because its picture is thought to be unwell, and what of that is found.

    python -m benchmarks.health FOLDER_OR_FILE... [--analysis-fps 8]     # share of time blind, by issue, of each clip
    python -m benchmarks.health FOLDER_OR_FILE... --synthetic            # changes of light made on these clips
    python -m benchmarks.health --cost                                   # microseconds of Health.step, 160x96

Each clip is a camera of its own that begins to learn with it; only the luma is looked at, no network. Clips for
``--synthetic`` last at least 8 s; the change comes in the middle of each. One that is to be *found* must be named
within a second, or three if it is none of light (and how long the camera is blind then is told); one that is to be
*ignored* should blind for no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.scoring.walkers import GEOMETRY, World
from vad.clock import SystemClock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.scoring.health import Health
from vad.types import BLOCK_PX, CellMap, Frame, HealthIssue
from vad.video.dataset import VIDEOS
from vad.video.luma import warm_luma
from vad.video.reader import Reader
from vad.video.spec import ReadEnv, ReadSpec

LEAST_S = 8.0  # of a clip for a synthetic change
WITHIN_S, LATER_S = 1.0, 3.0  # in which a change of light is to be found, and anything else
WATCHED_S = 10.0  # after a synthetic change

Picture = NDArray[np.float32]  # (H, W) luma 0..255


class Unpaced(SystemClock):
    """Reads a file without waiting for its time to pass."""

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        return stop.is_set()


class Change(NamedTuple):
    """A change of light, ``apply(picture, seconds since it began)``."""

    name: str
    issue: HealthIssue | None  # None: it is to be ignored
    apply: Callable[[Picture, float], Picture]


def levels(by: float, over_s: float) -> Callable[[Picture, float], Picture]:
    return lambda picture, since_s: picture + by * progress(since_s, over_s)


def gain(to: float, over_s: float) -> Callable[[Picture, float], Picture]:
    return lambda picture, since_s: picture * to ** progress(since_s, over_s)


def gamma(exponent: float) -> Callable[[Picture, float], Picture]:
    return lambda picture, _: 255.0 * (picture / 255.0) ** exponent


def half(to: float, side: str, soft_px: float) -> Callable[[Picture, float], Picture]:
    """Half of the picture gets ``to`` times as bright, with an edge that wide."""

    def apply(picture: Picture, _: float) -> Picture:
        length = picture.shape[1 if side == "left" else 0]
        share = np.clip((length / 2.0 - np.arange(length)) / max(soft_px, 1e-3) + 0.5, 0.0, 1.0)
        share = share[None, :] if side == "left" else share[:, None]
        return picture * (1.0 + (to - 1.0) * share)

    return apply


def near(shade: float, *, covers: float, exposure: float, stays_s: float) -> Callable[[Picture, float], Picture]:
    """Something large crosses from the left and stops for a while; the exposure answers to it within 0.75 s."""

    def apply(picture: Picture, since_s: float) -> Picture:
        moved = progress(since_s, 0.6) - progress(since_s - stays_s, 0.6)
        exposed = progress(since_s - 0.3, 0.75) - progress(since_s - stays_s - 0.3, 0.75)
        shown = picture + exposure * exposed
        height, width = picture.shape
        ripple = 6.0 * np.sin(np.arange(width) / 5.0) + 4.0 * np.cos(np.arange(height) / 7.0)[:, None]
        inside = (np.arange(width)[None, :] < moved * covers * width) & (np.arange(height)[:, None] > 0.1 * height)
        return np.where(inside, shade + ripple, shown)

    return apply


def panned(picture: Picture, _: float) -> Picture:
    return np.roll(picture, (9, 29), (0, 1))


def covered(picture: Picture, _: float) -> Picture:
    return 8.0 + 0.03 * cv2.GaussianBlur(picture, (0, 0), 12.0)


def defocused(picture: Picture, _: float) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 6.0)


def progress(since_s: float, over_s: float) -> float:
    return min(1.0, max(0.0, since_s / over_s)) if over_s > 0.0 else float(since_s >= 0.0)


CHANGES = (
    Change("step of +40 levels", HealthIssue.LIGHT_JUMP, levels(40.0, 0.0)),
    Change("step of -40 levels", HealthIssue.LIGHT_JUMP, levels(-40.0, 0.0)),
    Change("step of +15 levels", HealthIssue.LIGHT_JUMP, levels(15.0, 0.0)),
    Change("lamp off, gain 0.5", HealthIssue.LIGHT_JUMP, gain(0.5, 0.0)),
    Change("lamp off, gain 0.25", HealthIssue.LIGHT_JUMP, gain(0.25, 0.0)),
    Change("lamp on, gain 1.6", HealthIssue.LIGHT_JUMP, gain(1.6, 0.0)),
    Change("lamp off in 0.5 s, gain 0.4", HealthIssue.LIGHT_JUMP, gain(0.4, 0.5)),
    Change("gamma 0.5", HealthIssue.LIGHT_JUMP, gamma(0.5)),
    Change("gamma 1.8", HealthIssue.LIGHT_JUMP, gamma(1.8)),
    Change("left half 0.5", HealthIssue.LIGHT_JUMP, half(0.5, "left", 0.0)),
    Change("left half 1.7, soft", HealthIssue.LIGHT_JUMP, half(1.7, "left", 40.0)),
    Change("upper half 0.5, soft", HealthIssue.LIGHT_JUMP, half(0.5, "upper", 30.0)),
    Change("upper half 1.7", HealthIssue.LIGHT_JUMP, half(1.7, "upper", 0.0)),
    Change("camera turned", HealthIssue.MOVED, panned),
    Change("lens covered", HealthIssue.COVERED, covered),
    Change("out of focus", HealthIssue.DEFOCUSED, defocused),
    Change("exposure -30 in 0.75 s", None, levels(-30.0, 0.75)),
    Change("exposure +30 in 0.75 s", None, levels(30.0, 0.75)),
    Change("dimming to 0.3 in 5 s", None, gain(0.3, 5.0)),
    Change("brightening 2.0 in 5 s", None, gain(2.0, 5.0)),
    Change("near and white, 60 %", None, near(225.0, covers=0.6, exposure=-30.0, stays_s=5.0)),
    Change("near and dark, 60 %", None, near(25.0, covers=0.6, exposure=30.0, stays_s=5.0)),
    Change("near and dark, 85 %", None, near(25.0, covers=0.85, exposure=30.0, stays_s=1.0)),
)


def read(path: Path, *, analysis_fps: float) -> list[Frame]:
    """All frames; a reader ends by raising, so they are gathered one by one."""
    config = CameraConfig(url=str(path), analysis_fps=analysis_fps)
    frames: list[Frame] = []
    with Reader(ReadSpec("health", config, 160), run=0, env=ReadEnv(clock=Unpaced())) as reader:
        try:
            for item in reader:
                if isinstance(item, Frame):
                    frames.append(item)  # noqa: PERF401 - what was read must outlive the exception
        except StreamError as exc:
            if exc.code is not StreamCode.ENDED:
                raise
    return frames


def cells_of(frames: Sequence[Frame], change: Change | None = None, begins_s: float = 0.0) -> Iterator[CellMap]:
    """Maps that hold nothing but the luma of the blocks."""
    before_s = frames[0].pts_s
    for frame in frames:
        picture = frame.luma.astype(np.float32)
        if change is not None and frame.pts_s >= begins_s:
            picture = np.clip(change.apply(picture, frame.pts_s - begins_s), 0.0, 255.0).round().astype(np.float32)
        (gh, gw), (height, width) = frame.geometry.cells, picture.shape
        luma = picture.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX).mean(axis=(1, 3))
        none = np.zeros((gh, gw), np.float32)
        flow, latent = np.zeros((2, gh, gw), np.float32), np.zeros((1, gh, gw), np.float32)
        yield CellMap(frame, frame.pts_s - before_s, flow, none, none, latent, luma.astype(np.float32))
        before_s = frame.pts_s


def issues_of(cells: Iterator[CellMap], geometry: tuple[int, int]) -> list[HealthIssue | None]:
    health = Health(*geometry)
    return [health.step(one) for one in cells]


def blind(clips: dict[str, list[Frame]]) -> dict[str, dict[str, float]]:
    """Print and return the share of frames with each issue, of each clip and of all."""
    shares: dict[str, dict[str, float]] = {}
    for name, frames in clips.items():
        found = Counter(issue for issue in issues_of(cells_of(frames), frames[0].geometry.cells) if issue)
        shares[name] = {issue: count / len(frames) for issue, count in found.items()}
        if found:
            told = ", ".join(f"{issue} {share:.1%}" for issue, share in shares[name].items())
            print(f"{name:48} {sum(shares[name].values()):6.1%}  {told}")
    well = sum(not share for share in shares.values())
    total = sum(sum(shares[name].values()) * len(frames) for name, frames in clips.items())
    print(f"never blind: {well} of {len(clips)} clips; of all frames {total / sum(map(len, clips.values())):.2%} are")
    return shares


def synthetic(clips: dict[str, list[Frame]]) -> dict[str, dict[str, float]]:
    """Print and return for each change in how many clips it was named within a second, and how long it blinded."""
    clips = {name: frames for name, frames in clips.items() if frames[-1].pts_s - frames[0].pts_s >= LEAST_S}
    print(
        f"{len(clips)} clips of at least {LEAST_S:.0f} s; blind: mean seconds of the {WATCHED_S:.0f} s after it began"
    )
    figures = {}
    for change in CHANGES:
        found, blind_s, by_issue = 0, 0.0, Counter[str]()
        for frames in clips.values():
            begins_s = 0.5 * (frames[0].pts_s + frames[-1].pts_s)
            issues = issues_of(cells_of(frames, change, begins_s), frames[0].geometry.cells)
            after = [(f.pts_s - begins_s, i) for f, i in zip(frames, issues, strict=True) if f.pts_s >= begins_s]
            wanted = change.issue or HealthIssue.LIGHT_JUMP
            within_s = WITHIN_S if wanted is HealthIssue.LIGHT_JUMP else LATER_S
            found += any(issue is wanted for since_s, issue in after if since_s <= within_s)
            frame_s = (frames[-1].pts_s - frames[0].pts_s) / (len(frames) - 1)
            by_issue.update(issue for since_s, issue in after if issue and since_s <= WATCHED_S)
            blind_s += frame_s * sum(issue is not None for since_s, issue in after if since_s <= WATCHED_S)
        told = ", ".join(f"{issue} {count} frames" for issue, count in by_issue.items())
        aim = "find" if change.issue else "ignore"
        print(f"{aim:6} {change.name:28} found {found / len(clips):4.0%}, blind {blind_s / len(clips):4.1f} s: {told}")
        figures[change.name] = {"found": found / len(clips), "blind_s": blind_s / len(clips)}
    return figures


def step_cost() -> dict[str, float]:
    """CPU microseconds of one step, best and median of rounds."""
    frames = list(World(geometry=GEOMETRY).frames(60.0))
    rounds = []
    for _ in range(9):
        health = Health(*GEOMETRY.cells)
        began_s = time.process_time()
        for cells in frames:
            health.step(cells)
        rounds.append((time.process_time() - began_s) / len(frames) * 1e6)
    best, median = min(rounds[1:]), statistics.median(rounds[1:])
    print(f"Health.step at {GEOMETRY.width}x{GEOMETRY.height}: {best:.1f} us best, {median:.1f} us median")
    return {"best_us": best, "median_us": median}


def clips_in(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEOS)
            yield from ((str(file.relative_to(path.parent).with_suffix("")), file) for file in inside)
        else:
            yield path.stem, path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, metavar="FOLDER_OR_FILE")
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warm_luma()
    figures: dict[str, object] = {}
    if options.cost or not options.paths:
        figures["cost"] = step_cost()
    if options.paths:
        clips = {name: read(path, analysis_fps=options.analysis_fps) for name, path in clips_in(options.paths)}
        figures["blind"] = blind(clips)
        if options.synthetic:
            figures["synthetic"] = synthetic(clips)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
