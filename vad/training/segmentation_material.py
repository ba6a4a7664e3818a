"""What the segmentation network learns from: frames with exact masks, seen as the object layer of a camera sees them.

Two sources. Simulated worlds of training seeds, at all hours and around what is planted in them; and cut-outs that
cross real footage of fixed cameras, whose own movers are left out. Of each piece the layer first learns the background.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.errors import DatasetError
from vad.model.making import AnyRunner
from vad.scoring.objects.layer import ObjectLayer
from vad.scoring.objects.segmentation_kernels import Planes
from vad.training.collage import Body, Collage, cover
from vad.training.footage import analysed, visible
from vad.types import CELL_PX, CellMap, Clip, Frame, Geometry, WallSource
from vad.video.dataset import ClipSource
from vad.video.worlds import WorldFrame, WorldKind, open_world

SEEDS = range(40, 60)
"""Of the worlds to learn from: training seeds that no benchmark of this repository looks at."""

HELD_OUT_SEEDS = range(60, 64)
"""Of those that are only measured on."""

SIZES = ((160, 96), (160, 96), (160, 96), (240, 144), (320, 192))
"""Model pixels of a piece, drawn at random."""

HEIGHT, WIDTH = 96, 160
"""Of an example; a window of larger pictures."""

FPS = 8.0
LEARNT_S, SHOWN_S, EVERY_S = 40.0, 60.0, 1.0
"""Of a piece: the background is learnt, then a frame is taken each so often."""

SHIFT_FRAMES = 48
"""For so long the same cut-outs cross the footage."""

EMPTY_SHARE = 0.15
"""So many of the frames in which nobody is are kept."""

UNSEEN_LEVELS, UNSEEN_AFTER_S = 6.0, 30.0
"""What stays for so long and is that close to the background has become it: the mask does not count there."""

CLIP_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Examples:
    """N frames. ``trust`` is 0 where the mask must not teach."""

    luma: NDArray[np.uint8]  # (N, H, W)
    level: NDArray[np.float16]  # (N, H, W)
    spread: NDArray[np.float16]  # (N, H, W)
    seen_s: NDArray[np.float16]  # (N, H, W)
    quiet_s: NDArray[np.float16]  # (N, H, W)
    activity: NDArray[np.float16]  # (N, H/8, W/8)
    mask: NDArray[np.bool_]  # (N, H, W)
    trust: NDArray[np.bool_]  # (N, H, W)

    def __len__(self) -> int:
        return len(self.luma)

    def save(self, path: Path) -> None:
        """Uncompressed npz."""
        np.savez(path, **{name: getattr(self, name) for name in self.__slots__})

    @staticmethod
    def load(path: Path) -> Examples:
        with np.load(path) as file:
            return Examples(**{name: file[name] for name in Examples.__slots__})

    def only(self, which: NDArray[np.bool_]) -> Examples:
        """Those for which ``which`` (N,) is set."""
        return Examples(**{name: getattr(self, name)[which] for name in self.__slots__})

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        return Examples(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in Examples.__slots__})


Footage = Sequence[Sequence[NDArray[np.uint8]]]
"""Of each fixed camera its pictures (H, W), ``FPS`` a second."""


class Seen(NamedTuple):
    """A frame and its truth."""

    luma: NDArray[np.uint8]  # (H, W)
    ids: NDArray[np.uint8]  # (H, W) of what is in front, 0 for nothing
    bare: NDArray[np.uint8] | None = None  # (H, W) the picture without it, where that has movers of its own


def from_worlds(
    count: int, *, seed: int, runner: AnyRunner, kinds: Iterable[WorldKind] = WorldKind, seeds: range = SEEDS
) -> Iterator[Examples]:
    """``count`` pieces of each kind; every other around something that is planted."""
    random = np.random.default_rng(seed)
    for kind in kinds:
        for number in range(count):
            width, height = SIZES[int(random.integers(len(SIZES)))]
            world = open_world(kind, seed=int(random.choice(seeds)), days=2.0, width=width, height=height, fps=FPS)
            at_s = float(random.uniform(0.0, 1.9 * 86400.0))
            if number % 2 == 0 and world.planted:
                planted = world.planted[int(random.integers(len(world.planted)))]
                at_s = max(0.0, planted.start_s - LEARNT_S - float(random.uniform(5.0, 30.0)))
            frames = world.frames(int((LEARNT_S + SHOWN_S) * FPS), start=int(at_s * FPS), truth=True)
            yield from _watched([_seen(frame) for frame in frames], runner, random)


def _seen(frame: WorldFrame) -> Seen:
    assert frame.foreground is not None  # rendered with truth
    return Seen(frame.luma, frame.foreground)


def from_footage(count: int, *, seed: int, runner: AnyRunner, footage: Footage) -> Iterator[Examples]:
    """``count`` pieces of cut-outs over ``footage``."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        frames = [_padded(picture) for picture in footage[int(random.integers(len(footage)))]]
        yield from _watched(list(_pasted(frames, random)), runner, random)


def footage_of(folder: Path) -> Footage:
    """The pictures of each .mp4 in a folder, ``FPS`` a second. Raises DatasetError where there is none, StreamError."""
    clips = [ClipSource(video.stem, video) for video in sorted(folder.glob("*.mp4"))]
    if not clips:
        raise DatasetError(f"{folder}: holds no .mp4 file; allowed: a folder of videos of fixed cameras")
    footage: list[list[NDArray[np.uint8]]] = []
    for clip in clips:
        footage.append([visible(frame) for frame in analysed(clip, analysis_fps=FPS, model_width=WIDTH)])
        if len(footage[-1]) < 2:
            raise DatasetError(f"{clip.path}: {len(footage[-1])} frames at {FPS:.0f} a second; allowed: two or more")
    return footage


def _pasted(frames: Sequence[NDArray[np.uint8]], random: np.random.Generator) -> Iterator[Seen]:
    """Cut-outs over the pictures of one camera, others each six seconds."""
    total, learnt = int((LEARNT_S + SHOWN_S) * FPS), int(LEARNT_S * FPS)
    height, width = frames[0].shape
    textures = [frames[int(k)] for k in random.integers(0, len(frames), 4)]
    collage = Collage(seed=int(random.integers(1 << 30)), pictures=textures)
    begin, way = int(random.integers(len(frames))), 1 if random.random() < 0.5 else -1
    bodies: list[Body] = []
    for index in range(total):
        picture = frames[_bounced(begin + way * index, len(frames))]
        shown = index - learnt
        if shown >= 0 and shown % SHIFT_FRAMES == 0:
            bodies = collage.bodies(SHIFT_FRAMES, width=width, height=height)
        if shown < 0:
            yield Seen(picture, np.zeros((height, width), np.uint8), picture)
            continue
        pasted, share = cover(picture, bodies, float(shown % SHIFT_FRAMES))
        yield Seen(pasted, (share >= 0.5).astype(np.uint8), picture)


def _padded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At least an example, in whole cells; what is missing repeats the border."""
    height, width = picture.shape
    below, right = max(HEIGHT - height, -height % CELL_PX), max(WIDTH - width, -width % CELL_PX)
    return np.pad(picture, ((0, below), (0, right)), mode="edge")


def _bounced(index: int, count: int) -> int:
    """To and fro through ``count`` frames."""
    index %= 2 * count - 2
    return index if index < count else 2 * count - 2 - index


def _watched(frames: Sequence[Seen], runner: AnyRunner, random: np.random.Generator) -> Iterator[Examples]:
    """The examples of one piece."""
    height, width = frames[0].luma.shape
    layer = ObjectLayer(height // CELL_PX, width // CELL_PX, extents=False)
    movers = _movers([frame.bare for frame in frames if frame.bare is not None], runner)
    same_s = np.zeros((height, width), np.float32)
    every, learnt = int(EVERY_S * FPS), int(LEARNT_S * FPS)
    for index, cells in enumerate(_maps("shown", [frame.luma for frame in frames], runner)):
        luma, ids, bare = frames[index]
        layer.step(cells)
        own = next(movers) if bare is not None else None
        same_s = np.where(ids == frames[max(0, index - 1)].ids, same_s + 1.0 / FPS, 0.0)
        if index < learnt or index % every:
            continue
        if not (ids.any() or layer.tracks) and random.random() > EMPTY_SHARE:
            continue
        planes = layer.planes(cells)
        off = np.abs(luma.astype(np.float32) - planes.level)
        trust = ~((ids > 0) & (same_s > UNSEEN_AFTER_S) & (off < UNSEEN_LEVELS))
        if own is not None:
            trust &= (own == 0) | (ids > 0)
        window = _window(ids, random) if height > HEIGHT or width > WIDTH else (slice(0, HEIGHT), slice(0, WIDTH))
        yield _row(planes, ids > 0, trust, window)
    movers.close()


def _movers(pictures: Sequence[NDArray[np.uint8]], runner: AnyRunner) -> Generator[NDArray[np.uint8], None, None]:
    """(H, W) 1 on and around what moves in each picture by itself."""
    layer: ObjectLayer | None = None
    for cells in _maps("bare", pictures, runner):
        layer = layer or ObjectLayer(*cells.frame.geometry.cells, extents=False)
        layer.step(cells)
        yield np.asarray(cv2.dilate(layer.mask, np.ones((9, 9), np.uint8)), np.uint8)


def _window(ids: NDArray[np.uint8], random: np.random.Generator) -> tuple[slice, slice]:
    """A window of a larger picture, mostly around somebody; it begins at a cell."""
    height, width = ids.shape
    top, left = int(random.integers(0, height - HEIGHT + 1)), int(random.integers(0, width - WIDTH + 1))
    spots = np.argwhere(ids)
    if len(spots) and random.random() < 0.8:
        y, x = spots[random.integers(len(spots))]
        top = int(np.clip(y - random.integers(HEIGHT // 4, 3 * HEIGHT // 4), 0, height - HEIGHT))
        left = int(np.clip(x - random.integers(WIDTH // 4, 3 * WIDTH // 4), 0, width - WIDTH))
    top, left = top - top % CELL_PX, left - left % CELL_PX
    return slice(top, top + HEIGHT), slice(left, left + WIDTH)


def _row(planes: Planes, mask: NDArray[np.bool_], trust: NDArray[np.bool_], window: tuple[slice, slice]) -> Examples:
    y, x = window
    cells = slice(y.start // CELL_PX, y.stop // CELL_PX), slice(x.start // CELL_PX, x.stop // CELL_PX)

    def half(plane: NDArray[np.float32], most: float) -> NDArray[np.float16]:
        return np.minimum(plane[window], most).astype(np.float16)[None]

    return Examples(
        planes.luma[window][None].copy(),
        half(planes.level, 255.0),
        half(planes.spread, 255.0),
        half(planes.seen_s, 1000.0),
        half(planes.quiet_s, 1000.0),
        planes.activity[cells].astype(np.float16)[None],
        mask[window][None],
        trust[window][None],
    )


def _maps(camera: str, pictures: Sequence[NDArray[np.uint8]], runner: AnyRunner) -> Iterator[CellMap]:
    """What the motion network says of the pictures, which are one run of ``camera``; forgotten when that ends."""
    if not pictures:
        return
    height, width = pictures[0].shape
    geometry = Geometry(width, height, 1, width, height)
    try:
        for first in range(0, len(pictures), CLIP_LENGTH):
            frames = []
            for index, picture in enumerate(pictures[first : first + CLIP_LENGTH], start=first):
                at_s, luma = index / FPS, np.ascontiguousarray(picture)
                frames.append(Frame(camera, 1, index, at_s, at_s, WallSource.FILE, at_s, geometry, luma))
            yield from runner([Clip(tuple(frames))])[0]
    finally:
        runner.forget(camera)
