"""What a network learns from: short sequences with moving foreground, per 4 px block; their flow is for the exam.

Three sources, all of which may be redistributed: collages, the synthetic scene (both exact), and real footage from
fixed cameras, where DIS optical flow at its finest scale labels what moves (Kroeger et al., ECCV 2016).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.training.collage import Collage, Labelled
from vad.types import BLOCK_PX
from vad.video.synthetic import Scene

FRAMES = 16
"""Frames of a sequence."""

HEIGHT, WIDTH = 80, 112
"""Picture of a sequence in model pixels: a window of what a camera shows."""


@dataclass(frozen=True, slots=True)
class Material:
    """S sequences of T frames. Flow in px a frame, as ``vad.model.network.Encoded`` has it."""

    luma: NDArray[np.uint8]  # (S, T, H, W)
    flow: NDArray[np.float16]  # (S, T, 2, H/4, W/4) mean over the moving pixels of the block, 0 where nothing moves
    moving: NDArray[np.uint8]  # (S, T, H/4, W/4) share of the block that moves, 255 = all
    trust: NDArray[np.uint8]  # (S, T, H/4, W/4) 255 where the label is sure, 0 where it must not teach

    def __len__(self) -> int:
        return len(self.luma)

    def save(self, path: Path) -> None:
        """Uncompressed npz."""
        np.savez(path, luma=self.luma, flow=self.flow, moving=self.moving, trust=self.trust)

    @staticmethod
    def load(path: Path) -> Material:
        with np.load(path) as file:
            return Material(file["luma"], file["flow"], file["moving"], file["trust"])

    @staticmethod
    def joined(parts: Sequence[Material]) -> Material:
        names = ("luma", "flow", "moving", "trust")
        return Material(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def of_sequence(labelled: Labelled, trusted: NDArray[np.bool_] | None = None) -> Material:
    """One sequence reduced to blocks. ``trusted`` (T, H, W) says where the flow is known; everywhere by default.

    A block's flow is that of its moving pixels alone: the background that shares the block does not slow them down.
    """
    moving = labelled.moving.astype(np.float32)
    share = _block_means(moving)  # (T, H/4, W/4)
    flow = [_block_means(labelled.flow[..., k] * moving) / np.maximum(share, 1e-3) for k in (0, 1)]
    trust = np.ones_like(share) if trusted is None else _block_means(trusted.astype(np.float32))
    return Material(
        labelled.luma[None],
        np.stack(flow, axis=1).astype(np.float16)[None],
        np.round(share * 255).astype(np.uint8)[None],
        np.round(trust * 255).astype(np.uint8)[None],
    )


def from_collages(count: int, *, seed: int, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[Material]:
    """``count`` sequences, each with a seed of its own."""
    for k in range(count):
        collage = Collage(seed=seed * 1_000_003 + k, pictures=pictures)
        yield of_sequence(collage.draw(FRAMES, width=WIDTH, height=HEIGHT))


def from_scenes(count: int, *, seed: int, per_scene: int = 8) -> Iterator[Material]:
    """Windows of the synthetic scene at several frame rates and scales: ``per_scene`` from each rendering."""
    random = np.random.default_rng(seed)
    for k in range(-(-count // per_scene)):
        pool = int(random.integers(3, 5))
        scene = Scene(seed=seed * 1_000_003 + k, width=640, height=360, fps=float(random.choice([4.0, 6.0, 8.0, 12.5])))
        labelled = _pooled_scene(scene, pool=pool, start=int(random.integers(0, 500)))
        for _ in range(min(per_scene, count - k * per_scene)):
            yield of_sequence(window(labelled, place(labelled.moving, random)))


def _pooled_scene(scene: Scene, *, pool: int, start: int) -> Labelled:
    luma, flow, moving = [], [], []
    for frame in scene.frames(FRAMES, start=start):
        assert frame.flow is not None  # rendered with truth
        share = _pooled(frame.moving.astype(np.float32), pool)
        weighted = [_pooled(frame.flow[..., k] * frame.moving, pool) / np.maximum(share, 1e-3) for k in (0, 1)]
        luma.append(np.round(_pooled(frame.luma.astype(np.float32), pool)).astype(np.uint8))
        moving.append(share >= 0.5)
        flow.append(np.stack(weighted, axis=-1) / pool * moving[-1][..., None])
    return Labelled(np.stack(luma), np.stack(flow).astype(np.float32), np.stack(moving))


def teach(
    frames: Sequence[NDArray[np.uint8]], *, background: NDArray[np.float32], width: int
) -> tuple[Labelled, NDArray[np.bool_]]:
    """Label frames of a fixed camera, at ``width`` model pixels, by fine DIS flow at twice that size.

    Moving = unlike the background, changing, and with a flow that the flow back from the frame before agrees with.
    Returns the labels and where they can be trusted (T, H, W): where something moves so, or nothing changes at all.
    """
    height = round(frames[0].shape[0] * width / frames[0].shape[1])
    large = [_resized(f, 2 * width, 2 * height).astype(np.uint8) for f in frames]
    still = _resized(background, 2 * width, 2 * height)
    dis = fine_flow()
    luma = np.stack([_resized(f, width, height) for f in large]).astype(np.uint8)
    flows, moving, trusted = [np.zeros((height, width, 2), np.float32)], [np.zeros((height, width), bool)], []
    trusted.append(np.ones((height, width), bool))
    for before, now in itertools.pairwise(large):
        back, forth = dis(now, before), dis(before, now)  # now + back lies in the frame before
        agrees = _round_trip(back, forth) < 0.5 + 0.1 * np.hypot(back[..., 0], back[..., 1])
        change, foreign = _difference(now, before), _difference(now, still)
        moves = (foreign > 12.0) & (change > 3.0) & (np.hypot(back[..., 0], back[..., 1]) > 0.4) & agrees
        share = _pooled(moves.astype(np.float32), 2)
        flow = [_pooled(-back[..., k] * moves, 2) / np.maximum(share, 1e-3) / 2 for k in (0, 1)]
        flows.append(np.stack(flow, axis=-1))
        moving.append(share >= 0.5)
        trusted.append(_pooled((moves | (change < 3.0)).astype(np.float32), 2) >= 0.75)
    return Labelled(luma, np.stack(flows).astype(np.float32), np.stack(moving)), np.stack(trusted)


def _resized(picture: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def fine_flow() -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]:
    """DIS flow at full resolution: the teacher. (H, W) twice -> (H, W, 2)."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)

    def flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(dis.calc(first, second, np.zeros((*first.shape, 2), np.float32)), np.float32)

    return flow


def _round_trip(back: NDArray[np.float32], forth: NDArray[np.float32]) -> NDArray[np.float32]:
    h, w = back.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    again = cv2.remap(forth, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error: NDArray[np.float32] = np.hypot(back[..., 0] + again[..., 0], back[..., 1] + again[..., 1])
    return error


def _difference(now: NDArray[np.uint8], other: NDArray[Any]) -> NDArray[np.float32]:
    """Absolute difference in grey levels, smoothed; a change of exposure alone is none."""
    difference = now.astype(np.float32) - other
    smooth: NDArray[np.float32] = cv2.blur(np.abs(difference - np.median(difference)), (5, 5))
    return smooth


def place(moving: NDArray[np.bool_], random: np.random.Generator) -> tuple[slice, slice]:
    """A window, mostly around something that moves."""
    h, w = moving.shape[1:]
    top, left = int(random.integers(0, h - HEIGHT + 1)), int(random.integers(0, w - WIDTH + 1))
    spots = np.argwhere(moving[len(moving) // 2])
    if len(spots) and random.random() < 0.8:
        y, x = spots[random.integers(len(spots))]
        top = int(np.clip(y - random.integers(HEIGHT // 4, 3 * HEIGHT // 4), 0, h - HEIGHT))
        left = int(np.clip(x - random.integers(WIDTH // 4, 3 * WIDTH // 4), 0, w - WIDTH))
    return slice(top, top + HEIGHT), slice(left, left + WIDTH)


def window(labelled: Labelled, place: tuple[slice, slice]) -> Labelled:
    y, x = place
    return Labelled(labelled.luma[:, y, x], labelled.flow[:, y, x], labelled.moving[:, y, x])


def _pooled(image: NDArray[np.float32], pool: int) -> NDArray[np.float32]:
    h, w = image.shape[0] // pool, image.shape[1] // pool
    means: NDArray[np.float32] = image[: h * pool, : w * pool].reshape(h, pool, w, pool).mean(axis=(1, 3))
    return means


def _block_means(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    t, h, w = frames.shape
    means: NDArray[np.float32] = frames.reshape(t, h // BLOCK_PX, BLOCK_PX, w // BLOCK_PX, BLOCK_PX).mean(axis=(2, 4))
    return means


def gather(parts: Iterable[Material]) -> Material:
    """All of them as one."""
    return Material.joined(list(parts))
