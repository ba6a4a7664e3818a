"""What is light and not a thing: a beam of headlights that sweeps past, the shadow of a cloud, a bank of fog.

A thing ends within a pixel or two; light fades out over many. So what is large and has no outline is not an object.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, State, kernel
from vad.scoring.objects.background import Luma
from vad.scoring.objects.components import Labels


class LightTuning(NamedTuple):
    """Shares. Chosen by what they mean: a person's outline takes 0.7 and more of what he is off the background."""

    least_area: float = 0.02  # of the picture: smaller things out of focus are things
    outline: float = 0.35  # step across the outline over the mean difference inside of it: below it, it fades out


LIGHT = LightTuning()


@kernel
def without_outline(
    luma: Luma, level: Map, labels: Labels, boxes: State, size: tuple[int, int], t: LightTuning
) -> NDArray[np.bool_]:
    """(count,) which parts fade out instead of ending. ``labels`` (H, W) number the parts, ``boxes`` as ``boxes_of``.

    ``size`` is what of the rows and columns shows the picture: where that cuts a part is no outline. A pair of pixels
    lies one inside and two outside of the outline. Parts that have none (they fill the picture) fade.
    """
    out = np.zeros(len(boxes), np.bool_)
    least = t.least_area * labels.size
    for k in range(1, len(boxes)):
        out[k] = boxes[k, 4] >= least
    if not out.any():
        return out
    steps, pairs = np.zeros(len(boxes)), np.zeros(len(boxes))
    inside, area = np.zeros(len(boxes)), np.zeros(len(boxes))
    for i in range(2, size[0] - 2):
        for j in range(2, size[1] - 2):
            k = labels[i, j]
            if not out[k]:
                continue
            off = float(luma[i, j]) - level[i, j]
            inside[k] += abs(off)
            area[k] += 1.0
            for way in range(4):
                down = (way == 2) - (way == 3)
                right = (way == 0) - (way == 1)
                if labels[i + down, j + right] != k and labels[i + 2 * down, j + 2 * right] != k:
                    beyond = float(luma[i + 2 * down, j + 2 * right]) - level[i + 2 * down, j + 2 * right]
                    here = float(luma[i - down, j - right]) - level[i - down, j - right]
                    steps[k] += abs(here - beyond)
                    pairs[k] += 1.0
    for k in range(1, len(boxes)):
        if out[k]:
            out[k] = steps[k] * area[k] < t.outline * inside[k] * max(1.0, pairs[k])
    return out


@kernel
def take_away(labels: Labels, is_light: NDArray[np.bool_], cell: int, out: Map) -> None:
    """Label 0 where there is light; ``out`` (gh, gw) becomes 1 on the cells of which that is a quarter or more."""
    out[:] = 0.0
    one = np.float32(1.0 / (cell * cell))
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            if is_light[labels[i, j]]:
                labels[i, j] = 0
                out[i // cell, j // cell] += one
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.float32(1.0) if out[i, j] >= np.float32(0.25) else np.float32(0.0)
