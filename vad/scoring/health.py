"""What is wrong with the picture itself, from block luma alone: named for what it is, never an anomaly.

- ``frozen``: the very same picture for seconds; a sensor's noise never repeats.
- ``covered``: dark, or hardly any contrast left, where there used to be some.
- ``moved``: fine structure disagrees with the background nearly everywhere.
- ``defocused``: fine structure is where it was, but fainter than the picture's contrast explains.
- ``light_jump``: the whole picture, or half of it, got brighter or darker at once (lamps, infrared switch). What takes
  longer is a camera's exposure, which answers to whatever is large and near: the network's and the scorer's business.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State
from vad.scoring.kernels_health import fine_structure, follow, glance, mean_and_spread
from vad.types import CellMap, HealthIssue


@dataclass(frozen=True, slots=True)
class HealthTuning:
    """Luma in levels of 0..255, times in media seconds.

    Those of ``jump`` and of tiles were set once, from what automatic exposure did on a dozen clips of rooms and roads,
    and then looked at with ``benchmarks.health`` on the same and 30 other clips at 8 frames/s, each with 20 % less and
    20 % more: unless a figure stands beside it, any one change is missed in one more of 26 clips at most, and the share
    of time blind moves by less than 0.1 %.
    """

    learn_first_s: float = 3.0  # footage before anything but a frozen picture can be told
    young_s: float = 10.0  # footage until a background that disagrees goes on learning
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
    tile_textured: int = 8  # blocks, for a tile to have a say
    moved_share: float = 0.5  # of textured blocks that disagree
    moved_least: float = 0.3  # ... and of each tile's: an untouched one has 0.1, a turned camera 0.6; 0.24: near things
    # that cover 85 % blind for 0.4 s
    agreement: float = 0.3  # of the usual structure: less disagrees
    defocused_share: float = 0.4  # of the usual fine structure
    jump_mean: float = 1.0  # change of the picture's mean: below it nothing more is looked at
    jump: float = 5.0  # change of a block
    jump_alike: float = 0.6  # share of blocks that changed that way by that much
    jump_fast: float = 7.0  # change of more than half of the blocks ...
    jump_fast_per_s: float = (
        60.0  # ... and that much a second: exposure does 36 in 0.5 s; 72: misses two of 26 dim ones
    )
    jump_fast_most: float = 36.0  # ... up to what exposure was seen to do in all (below 2 frames/s)
    jump_elsewhere: float = 0.4  # share of the other half's blocks from which on half a picture does not change alone
    jump_within_s: float = 0.15  # between the pictures compared, or one frame
    jump_hold_s: float = 1.0  # the network is used to the new light after two frames, exposure after a second


HEALTH = HealthTuning()
CONFIRM_AFTER_S = {
    HealthIssue.COVERED: HEALTH.covered_after_s,
    HealthIssue.MOVED: HEALTH.moved_after_s,
    HealthIssue.DEFOCUSED: HEALTH.defocused_after_s,
}
"""How long a suspicion must last before it is reported; the others are reported at once."""
YOUNG = (HealthIssue.MOVED, HealthIssue.DEFOCUSED)
"""What a background says that was learnt while something stood before the lens and is gone: it goes on learning."""
JUMP = (HEALTH.jump_mean, HEALTH.jump, HEALTH.jump_alike, HEALTH.jump_elsewhere)
TEXTURE = (HEALTH.texture, HEALTH.agreement, HEALTH.tile_textured)
EPSILON_S = 1e-3


class _Seen(NamedTuple):
    """A picture of late."""

    pts_s: float
    luma: Map
    mean: float


class Health:
    """``step(cells)`` names the present issue or None. One camera, frames in order; deterministic."""

    def __init__(self, rows: int, columns: int) -> None:
        self._usual: Map = np.zeros((2 * rows, 2 * columns), np.float32)  # background luma
        self._structure: Map = np.zeros_like(self._usual)
        self._structure_age_s = math.inf
        self._usual_mean, self._usual_contrast = 0.0, 0.0
        self._seen_s = 0.0
        self.begin_run()

    def begin_run(self) -> None:
        """Forget what is transient; the background is kept."""
        self._issue: HealthIssue | None = None
        self._issue_s, self._well_s = 0.0, 0.0
        self._suspect: HealthIssue | None = None
        self._suspect_s, self._same_s, self._jump_left_s = 0.0, 0.0, 0.0
        self.new_look_s = 0.0  # since when what shows is to be learnt anew, if an issue that is over now left it; or 0
        self._recent: deque[_Seen] = deque()  # the last jump_within_s, or the last picture

    @property
    def camera_moved_for_good(self) -> bool:
        """The view is another one: what was normal there says nothing here."""
        return self._issue is HealthIssue.MOVED and self._issue_s >= HEALTH.relearn_after_s

    def step(self, cells: CellMap) -> HealthIssue | None:
        dt_s = min(cells.dt_s, 1.0)
        found = self._look(cells, dt_s)
        self._confirm(found, dt_s)
        young = self._seen_s < HEALTH.young_s and found in YOUNG
        if (self._issue is None and found is None) or young:
            self._learn(cells.luma, dt_s)
        return self._issue

    def _look(self, cells: CellMap, dt_s: float) -> HealthIssue | None:
        """What this frame alone suggests."""
        luma, now_s = cells.luma, cells.frame.pts_s
        while len(self._recent) > 1 and now_s - self._recent[0].pts_s > HEALTH.jump_within_s:
            self._recent.popleft()
        last, before = (self._recent[-1], self._recent[0]) if self._recent else (None, _Seen(now_s, luma, 0.0))
        fast = max(HEALTH.jump_fast, HEALTH.jump_fast_per_s * (now_s - before.pts_s))
        repeats, jumped, mean, contrast, textured, apart, least_apart, strength = glance(
            luma,
            luma if last is None else last.luma,
            before.luma,
            self._structure,
            before.mean,
            self._usual_contrast,
            min(HEALTH.jump_fast_most, fast),
            JUMP,
            TEXTURE,
        )
        if jumped:
            self._recent.clear()  # it was seen, once
        self._recent.append(_Seen(now_s, luma, mean))
        self._same_s = self._same_s + dt_s if repeats and dt_s > 0.0 and last is not None else 0.0
        self._jump_left_s = HEALTH.jump_hold_s if jumped else max(0.0, self._jump_left_s - dt_s)
        if self._jump_left_s > EPSILON_S:
            return HealthIssue.LIGHT_JUMP
        if self._seen_s >= HEALTH.learn_first_s:
            is_comparable = textured >= HEALTH.least_textured
            is_other = is_comparable and apart > HEALTH.moved_share
            if self._is_covered(mean, contrast) and (is_other or not is_comparable or contrast < HEALTH.least_contrast):
                return HealthIssue.COVERED
            if self._issue is HealthIssue.LIGHT_JUMP:
                return None  # the background is of another light, and of no use
            if is_comparable and strength < HEALTH.defocused_share:
                return HealthIssue.DEFOCUSED
            if is_other and least_apart > HEALTH.moved_least:
                return HealthIssue.MOVED
        return HealthIssue.FROZEN if self._same_s >= HEALTH.frozen_after_s else None

    def _is_covered(self, mean: float, contrast: float) -> bool:
        """Dark or flat, where it used to be neither?"""
        dark = mean < HEALTH.dark and self._usual_mean > 2.0 * HEALTH.dark
        flat = contrast < max(HEALTH.least_contrast, HEALTH.contrast_share * self._usual_contrast)
        return dark or (flat and self._usual_contrast > 2.0 * HEALTH.least_contrast)

    def _confirm(self, found: HealthIssue | None, dt_s: float) -> None:
        """An issue is reported once it lasted, and is over once the picture was well for a while."""
        self._suspect_s = self._suspect_s + dt_s if found is self._suspect else 0.0
        self._suspect = found
        if found is not None and found is not self._issue and self._suspect_s >= CONFIRM_AFTER_S.get(found, 0.0):
            self._issue, self._issue_s = found, 0.0
        self._well_s = self._well_s + dt_s if found is None else 0.0
        self.new_look_s = 0.0
        if self._issue is None:
            return
        self._issue_s += dt_s
        over = self._well_s >= (0.0 if self._issue is HealthIssue.LIGHT_JUMP else HEALTH.recover_s)
        lasting = self._issue is not HealthIssue.FROZEN and self._issue_s >= HEALTH.accept_after_s
        after_jump = self._issue is HealthIssue.LIGHT_JUMP and found is None
        after_move = self._issue is HealthIssue.MOVED and over and found is None  # hardly ever to the very same view
        self.new_look_s = self._issue_s if after_jump or after_move or lasting else 0.0
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
            self._describe()

    def _describe(self) -> None:
        self._structure, self._structure_age_s = fine_structure(self._usual), 0.0
        self._usual_mean, self._usual_contrast = mean_and_spread(self._usual)

    def state(self) -> dict[str, State]:
        pictures = {"usual": self._usual, "structure": self._structure}
        clock = np.array([self._seen_s, min(self._structure_age_s, 1e9)])
        return {**{name: value.astype(np.float64) for name, value in pictures.items()}, "clock": clock}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._usual = take(arrays, "usual", self._usual.astype(np.float64)).astype(np.float32)
        self._structure = take(arrays, "structure", self._structure.astype(np.float64)).astype(np.float32)
        self._usual_mean, self._usual_contrast = mean_and_spread(self._usual)
        self._seen_s, self._structure_age_s = (float(value) for value in take(arrays, "clock", np.zeros(2)))
