"""A tiny world of cell maps: people on paths in perspective, drawn on the grid itself, without pictures or network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from vad.types import BLOCK_PX, CELL_PX, CellMap, Frame, Geometry, WallSource

GEOMETRY = Geometry(source_width=640, source_height=360, pool=4, width=160, height=96)


@dataclass
class Body:
    """A moving box. Position is its feet, model pixels; speed in px/s at the bottom row, less further up."""

    x: float
    y: float
    vx: float = 14.0
    vy: float = 0.0
    height: float = 26.0  # px at the bottom row
    width: float = 9.0
    shade: float = 60.0  # luma
    surprise: float = 1.0
    bounces: bool = True
    faded: float = 0.0  # seconds stood still: the moving foreground fades away

    def scale(self, depth: float) -> float:
        return 0.4 + 0.6 * min(1.0, max(0.0, self.y / depth))


@dataclass
class World:
    """``frames(seconds)`` yields cell maps; bodies may be added or changed meanwhile."""

    seed: int = 0
    fps: float = 10.0
    run: int = 0
    people: int = 6
    geometry: Geometry = GEOMETRY
    noise: float = 1.0  # luma levels per block
    light: float = 1.0
    bodies: list[Body] = field(default_factory=list)
    now_s: float = 0.0
    index: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        rows, columns = self.geometry.cells
        self.picture = self.rng.uniform(60.0, 190.0, (2 * rows, 2 * columns))
        for _ in range(self.people):
            side = 1.0 if self.rng.random() < 0.5 else -1.0
            self.bodies.append(
                Body(
                    x=self.rng.uniform(5.0, 150.0),
                    y=self.rng.choice([40.0, 60.0, 80.0]) + self.rng.normal(0.0, 2.0),
                    vx=side * self.rng.uniform(10.0, 15.0),
                    surprise=self.rng.uniform(0.8, 1.1),
                )
            )

    def level_ground(self) -> None:
        """An even ground instead of a mosaic: outlines of things can be told on it."""
        across, down = np.linspace(0.0, 3.0, self.picture.shape[1]), np.linspace(0.0, 20.0, self.picture.shape[0])
        self.picture = 130.0 + 20.0 * np.sin(across)[None] + down[:, None]

    def smooth_ground(self) -> None:
        """An uneven ground without edges: outlines can be told on it, and that the camera has not moved."""
        rows, columns = self.picture.shape
        coarse = np.random.default_rng(self.seed).uniform(90.0, 190.0, (rows // 4, columns // 4)).astype(np.float32)
        self.picture = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float64)

    def new_run(self) -> None:
        self.run, self.index, self.now_s = self.run + 1, 0, 0.0

    def frames(self, seconds: float):
        for _ in range(round(seconds * self.fps)):
            yield self._draw()
            self.now_s += 1.0 / self.fps
            self.index += 1
            for body in self.bodies:
                self._move(body)

    def _move(self, body: Body) -> None:
        scale = body.scale(self.geometry.valid_height)
        body.x += body.vx * scale / self.fps
        body.y += body.vy * scale / self.fps
        body.faded = body.faded + 1.0 / self.fps if body.vx == body.vy == 0.0 else 0.0
        if body.bounces and not 4.0 < body.x < 156.0:
            body.vx = abs(body.vx) if body.x < 80.0 else -abs(body.vx)

    def _draw(self) -> CellMap:
        rows, columns = self.geometry.cells
        activity, momentum = np.zeros((rows, columns)), np.zeros((2, rows, columns))
        surprise = 0.8 + 0.1 * self.rng.random((rows, columns))
        luma = self.picture * self.light
        for body in self.bodies:
            scale = body.scale(self.geometry.valid_height)
            box = (
                body.y - body.height * scale,
                body.y,
                body.x - 0.5 * body.width * scale,
                body.x + 0.5 * body.width * scale,
            )
            share = cover(box, rows, columns, CELL_PX)
            blocks = cover(box, 2 * rows, 2 * columns, BLOCK_PX)
            luma = luma * (1.0 - blocks) + body.shade * self.light * blocks
            moving = share * max(0.0, 1.0 - 2.0 * body.faded)
            speed = 1.0 + 0.12 * self.rng.normal()
            activity = np.minimum(1.0, activity + moving)
            momentum += moving * np.array([body.vx, body.vy])[:, None, None] * scale * speed
            surprise = np.maximum(
                surprise, np.where(moving > 0.05, body.surprise * (0.9 + 0.2 * self.rng.random()), 0.0)
            )
        flow = momentum / np.maximum(activity, 1e-3)
        luma = np.clip(luma + self.rng.normal(0.0, self.noise, luma.shape), 0.0, 255.0)
        frame = make_frame(self.geometry, run=self.run, index=self.index, pts_s=self.now_s)
        drawn = CellMap(
            frame=frame,
            dt_s=0.0 if self.index == 0 else 1.0 / self.fps,
            flow=(flow if self.index else 0.0 * flow).astype(np.float32),
            activity=(activity if self.index else 0.0 * activity).astype(np.float32),
            surprise=surprise.astype(np.float32),
            latent=np.zeros((2, rows, columns), np.float32),
            luma=luma.astype(np.float32),
        )
        return lit(drawn, luma)


def lit(cells: CellMap, luma: np.ndarray) -> CellMap:
    """The same frame with other block luma (2gh, 2gw), and a picture that shows it."""
    picture = np.clip(np.round(luma), 0, 255).astype(np.uint8).repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)
    frame = replace(cells.frame, luma=np.ascontiguousarray(picture))
    return replace(cells, frame=frame, luma=luma.astype(np.float32))


def cover(box: tuple[float, float, float, float], rows: int, columns: int, side: float) -> np.ndarray:
    """(rows, columns) share of each cell that the box (top, bottom, left, right) covers."""
    top, bottom, left, right = box
    y, x = np.arange(rows) * side, np.arange(columns) * side
    down = np.clip(np.minimum(y + side, bottom) - np.maximum(y, top), 0.0, side) / side
    across = np.clip(np.minimum(x + side, right) - np.maximum(x, left), 0.0, side) / side
    return down[:, None] * across[None, :]


def make_frame(geometry: Geometry = GEOMETRY, *, run: int = 0, index: int = 0, pts_s: float = 0.0) -> Frame:
    return Frame(
        camera="cam1",
        run=run,
        index=index,
        pts_s=pts_s,
        wall_s=1_700_000_000.0 + pts_s,
        wall_source=WallSource.ARRIVAL,
        arrived_s=pts_s,
        geometry=geometry,
        luma=np.zeros((geometry.height, geometry.width), np.uint8),
    )
