"""The kinds of bodies, each with the function that shapes it: a table."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from vad.video.synthetic import boxes, figures, robots
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import Array


class Body(StrEnum):
    """What moves."""

    WALKER = "walker"
    CYCLIST = "cyclist"
    VEHICLE = "vehicle"
    BAG = "bag"
    CRATE = "crate"
    CART = "cart"
    ROBOT_ARM = "robot_arm"


_SHAPES: dict[Body, Callable[[Camera, Array, Array], tuple[Array, Array]]] = {
    Body.WALKER: figures.walkers,
    Body.CYCLIST: figures.cyclists,
    Body.VEHICLE: boxes.vehicles,
    Body.BAG: boxes.bags,
    Body.CRATE: boxes.crates,
    Body.CART: boxes.carts,
    Body.ROBOT_ARM: robots.robot_arms,
}


def polygons(body: Body, camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """Shape n bodies of one kind: ``size`` (n, 4), ``state`` (n, STATE or POSTURE).

    Returns corners (n, parts, CORNERS, 2) in pixels and the order of painting (n, parts): low first, HIDDEN not at all.
    """
    return _SHAPES[body](camera, size, state)
