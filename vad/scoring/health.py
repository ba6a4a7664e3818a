"""What is wrong with the picture itself, from block luma alone: named for what it is, never an anomaly.

- ``frozen``: the very same picture for seconds; a sensor's noise never repeats.
- ``covered``: dark, or hardly any contrast left, where there used to be some.
- ``moved``: fine structure disagrees with the background nearly everywhere.
- ``defocused``: fine structure is where it was, but faint.
- ``light_jump``: nearly everything got brighter or darker within a second (lamps, infrared switch).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State, kernel
from vad.types import CellMap, HealthIssue


@dataclass(frozen=True, slots=True)
class HealthTuning:
    """Luma in levels of 0..255, times in media seconds."""

    learn_first_s: float = 3.0  # footage before anything but a frozen picture can be told
    background_tau_s: float = 30.0
    structure_every_s: float = 1.0  # between two looks at the background's fine structure
    frozen_after_s: float = 3.0
    covered_after_s: float = 0.6
    moved_after_s: float = 0.4
    defocused_after_s: float = 2.0
    recover_s: float = 1.0  # the picture must be well that long before an issue is over
    relearn_after_s: float = 10.0  # a moved camera stays moved: start cold
    accept_after_s: float = 300.0  # other lasting looks (fog, night) become the new normal
    dark: float = 14.0  # mean luma
    contrast_share: float = 0.25  # of the usual standard deviation
    least_contrast: float = 3.0
    texture: float = 4.0  # fine structure that can be told from noise
    least_textured: int = 16  # blocks
    moved_share: float = 0.5  # of textured blocks that disagree
    agreement: float = 0.3  # of the usual structure: less disagrees
    defocused_share: float = 0.4  # of the usual fine structure
    jump: float = 7.0  # change of a block
    jump_alike: float = 0.6  # share of blocks that changed that way by that much
    jump_within_s: float = 0.8
    jump_hold_s: float = 2.0  # until the network has got used to the new light


HEALTH = HealthTuning()
CONFIRM_AFTER_S = {
    HealthIssue.COVERED: HEALTH.covered_after_s,
    HealthIssue.MOVED: HEALTH.moved_after_s,
    HealthIssue.DEFOCUSED: HEALTH.defocused_after_s,
}
"""How long a suspicion must last before it is reported; the others are reported at once."""


@kernel
def fine_structure(luma: Map) -> Map:
    """Each block less the mean of its 3x3 neighbourhood (clipped at the border)."""
    bh, bw = luma.shape
    out = np.empty((bh, bw), np.float32)
    down = np.zeros(bw + 2)  # sums over the rows of the neighbourhood, between two columns of nothing
    left, here, right = down[:bw], down[1 : bw + 1], down[2:]
    for i in range(bh):
        here[:] = 0.0
        for y in range(max(0, i - 1), min(bh, i + 2)):
            for j in range(bw):
                here[j] += luma[y, j]
        count = 3 * (min(bh, i + 2) - max(0, i - 1))
        for j in range(bw):
            out[i, j] = luma[i, j] - (left[j] + here[j] + right[j]) / count
        for j in (0, bw - 1):
            out[i, j] = luma[i, j] - (left[j] + here[j] + right[j]) / (count // 3 * min(bw, 2))
    return out


@kernel
def compare_structure(luma: Map, usual: Map, texture: float, agreement: float) -> tuple[int, float, float]:
    """(textured blocks, share of them that disagree, strength over usual strength) of fine structure.

    ``usual`` is the fine structure of the background.
    """
    now = fine_structure(luma)
    count, apart, strength, reference = 0, 0, 0.0, 0.0
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            if abs(usual[i, j]) < texture:
                continue
            count += 1
            reference += abs(usual[i, j])
            strength += abs(now[i, j])
            if now[i, j] * usual[i, j] < agreement * usual[i, j] ** 2:
                apart += 1
    if count == 0:
        return 0, 0.0, 1.0
    return count, apart / count, strength / reference


@kernel
def mean_and_spread(luma: Map) -> tuple[float, float]:
    """Mean and standard deviation."""
    total, squares = np.zeros(luma.shape[1]), np.zeros(luma.shape[1])  # of each column: many are added at once
    for i in range(luma.shape[0]):
        for j in range(luma.shape[1]):
            value = float(luma[i, j])
            total[j] += value
            squares[j] += value * value
    mean = total.sum() / luma.size
    return mean, math.sqrt(max(0.0, squares.sum() / luma.size - mean * mean))


@kernel
def identical(now: Map, before: Map) -> bool:
    """Did nothing change at all?"""
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            if now[i, j] != before[i, j]:
                return False
    return True


@kernel
def shares_changed(now: Map, before: Map, by: float) -> tuple[float, float]:
    """Shares of the blocks that got brighter and darker by more than ``by``."""
    brighter, darker = 0, 0
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            change = now[i, j] - before[i, j]
            brighter += change > by
            darker += change < -by
    return brighter / now.size, darker / now.size


@kernel
def glance(
    luma: Map, last: Map, oldest: Map, usual: Map, structure: Map, jump: float, texture: float, agreement: float
) -> tuple[bool, float, float, float, float, float, int, float, float]:
    """All that ``Health`` asks of a picture, in one call.

    Is it the ``last`` one again; the share that changed the same way since the ``oldest``; mean and spread, now and
    usually; ``compare_structure``.
    """
    brighter, darker = shares_changed(luma, oldest, jump)
    mean, contrast = mean_and_spread(luma)
    usual_mean, usual_contrast = mean_and_spread(usual)
    count, apart, strength = compare_structure(luma, structure, texture, agreement)
    alike = max(brighter, darker)
    return identical(luma, last), alike, mean, contrast, usual_mean, usual_contrast, count, apart, strength


@kernel
def follow(mean: Map, luma: Map, share: float) -> None:
    """Bring ``mean`` nearer to ``luma`` by ``share`` of the way, in place."""
    part = np.float32(share)
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            mean[i, j] += part * (luma[i, j] - mean[i, j])


class Health:
    """``step(cells)`` names the present issue or None. One camera, frames in order; deterministic."""

    def __init__(self, rows: int, columns: int) -> None:
        self._usual: Map = np.zeros((2 * rows, 2 * columns), np.float32)  # background luma
        self._structure: Map = np.zeros_like(self._usual)
        self._structure_age_s = math.inf
        self._seen_s = 0.0
        self.begin_run()

    def begin_run(self) -> None:
        """Forget what is transient; the background is kept."""
        self._issue: HealthIssue | None = None
        self._issue_s, self._well_s = 0.0, 0.0
        self._suspect: HealthIssue | None = None
        self._suspect_s, self._same_s, self._jump_left_s = 0.0, 0.0, 0.0
        self._recent: deque[tuple[float, Map]] = deque()  # (pts_s, block luma) of the last jump_within_s

    @property
    def camera_moved_for_good(self) -> bool:
        """The view is another one: what was normal there says nothing here."""
        return self._issue is HealthIssue.MOVED and self._issue_s >= HEALTH.relearn_after_s

    def step(self, cells: CellMap) -> HealthIssue | None:
        dt_s = min(cells.dt_s, 1.0)
        found = self._look(cells, dt_s)
        self._confirm(found, dt_s)
        if self._issue is None and found is None:
            self._learn(cells.luma, dt_s)
        return self._issue

    def _look(self, cells: CellMap, dt_s: float) -> HealthIssue | None:
        """What this frame alone suggests."""
        luma, now_s = cells.luma, cells.frame.pts_s
        last = self._recent[-1][1] if self._recent else None
        while self._recent and now_s - self._recent[0][0] > HEALTH.jump_within_s:
            self._recent.popleft()
        oldest = self._recent[0][1] if self._recent else luma
        self._recent.append((now_s, luma))
        repeats, alike, mean, contrast, usual_mean, usual, count, apart, strength = glance(
            luma,
            luma if last is None else last,
            oldest,
            self._usual,
            self._structure,
            HEALTH.jump,
            HEALTH.texture,
            HEALTH.agreement,
        )
        same = last is not None and dt_s > 0.0 and repeats
        self._same_s = self._same_s + dt_s if same else 0.0
        jumped = alike > HEALTH.jump_alike  # nearly everything, the same way, within ``jump_within_s``
        self._jump_left_s = HEALTH.jump_hold_s if jumped else max(0.0, self._jump_left_s - dt_s)
        if self._jump_left_s > 0.0:
            return HealthIssue.LIGHT_JUMP
        if self._seen_s >= HEALTH.learn_first_s:
            dark = mean < HEALTH.dark and usual_mean > 2.0 * HEALTH.dark
            flat = contrast < max(HEALTH.least_contrast, HEALTH.contrast_share * usual)
            if dark or (flat and usual > 2.0 * HEALTH.least_contrast):
                return HealthIssue.COVERED
            if count >= HEALTH.least_textured and strength < HEALTH.defocused_share:
                return HealthIssue.DEFOCUSED
            if count >= HEALTH.least_textured and apart > HEALTH.moved_share:
                return HealthIssue.MOVED
        return HealthIssue.FROZEN if self._same_s >= HEALTH.frozen_after_s else None

    def _confirm(self, found: HealthIssue | None, dt_s: float) -> None:
        """An issue is reported once it lasted, and is over once the picture was well for a while."""
        self._suspect_s = self._suspect_s + dt_s if found is self._suspect else 0.0
        self._suspect = found
        if found is not None and found is not self._issue and self._suspect_s >= CONFIRM_AFTER_S.get(found, 0.0):
            self._issue, self._issue_s = found, 0.0
        self._well_s = self._well_s + dt_s if found is None else 0.0
        if self._issue is None:
            return
        self._issue_s += dt_s
        over = self._well_s >= (0.0 if self._issue is HealthIssue.LIGHT_JUMP else HEALTH.recover_s)
        lasting = self._issue is not HealthIssue.FROZEN and self._issue_s >= HEALTH.accept_after_s
        after_jump = self._issue is HealthIssue.LIGHT_JUMP and found is None
        if (over and found is None) or lasting:
            self._issue = None
        if after_jump or lasting:
            self._seen_s = 0.0  # learn the new look from scratch

    def _learn(self, luma: Map, dt_s: float) -> None:
        if self._seen_s <= 0.0:
            self._usual = luma.copy()
            self._seen_s = max(dt_s, 1e-3)
        else:
            self._seen_s += dt_s
            follow(self._usual, luma, min(1.0, dt_s / min(HEALTH.background_tau_s, self._seen_s)))
        self._structure_age_s += dt_s
        if self._structure_age_s >= HEALTH.structure_every_s:
            self._structure, self._structure_age_s = fine_structure(self._usual), 0.0

    def state(self) -> dict[str, State]:
        pictures = {"usual": self._usual, "structure": self._structure}
        clock = np.array([self._seen_s, min(self._structure_age_s, 1e9)])
        return {**{name: value.astype(np.float64) for name, value in pictures.items()}, "clock": clock}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._usual = take(arrays, "usual", self._usual.astype(np.float64)).astype(np.float32)
        self._structure = take(arrays, "structure", self._structure.astype(np.float64)).astype(np.float32)
        self._seen_s, self._structure_age_s = (float(value) for value in take(arrays, "clock", np.zeros(2)))
