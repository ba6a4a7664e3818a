"""Every constant of the scorer that is not a setting, with its unit. Chosen on normal video and pseudo-anomalies."""

from __future__ import annotations

from dataclasses import dataclass

from vad.types import Reason

CUES = (
    Reason.SPEED,
    Reason.APPEARANCE,
    Reason.STATIC_CHANGE,
    Reason.DIRECTION,
    Reason.SIZE,
    Reason.PACE,
    Reason.MOVEMENT,
    Reason.HOUR,
    Reason.ABSENCE,
    Reason.FALL,
    Reason.AGITATION,
)
"""The K cues, in the order of every array whose first axis is cues. Those of cells that move come first."""

REASONS = (*CUES, Reason.COMBINED)
"""Everything that is judged by a tail of its own: the cues, and all of them together."""

MOVING = 2
"""How many of them are cues of cells that move; the others are of objects."""

HABITUAL = 3
"""How many are made relative to what each cell is used to."""

DAY_S = 86400.0
LONGEST_STEP_S = 1.0
"""A longer pause between two frames counts as this much: nobody saw what happened in it."""


@dataclass(frozen=True, slots=True)
class TailPrior:
    """What a cue's tail is taken to be before the camera has shown its own (units of the cue)."""

    floor: float  # the tail never starts below this value
    scale: float  # mean excess of the pseudo-observations
    shape: float = -0.2  # shape of the generalised Pareto tail they suggest
    weight: float = 16.0  # how many peaks they are worth
    rate_per_hour: float = 0.0  # excursions above the floor on a camera of which nothing is known yet
    rate_worth_s: float = 0.0  # footage that this rate is worth; 0.0 = half an excursion in what was seen, as Jeffreys
    share: float = 1.0  # of the camera's incidents that may be this cue's


@dataclass(frozen=True, slots=True)
class Tuning:
    """Grouped by who uses it. Rows and columns in cells, speeds in model px/s, masses in cell-seconds of activity."""

    # person-sized window: what speed and appearance are pooled over
    window_rows: int = 3
    window_columns: int = 2
    least_activity: float = 0.25  # cells' worth of activity that halves a window's say
    moving_slow: float = 0.15  # share of what is fast below which foreground counts as standing
    top_windows: int = 3  # the frame's evidence is the mean of that many highest windows (they overlap)

    # quantiles by row
    histogram_bins: int = 64
    forget_half_life_s: float = 86400.0  # of learnt footage
    refresh_s: float = 1.0  # learnt footage between two fits of the quantile lines, at first
    refresh_most_s: float = 30.0  # ... and later
    row_mass: float = 4.0  # cell-seconds at which a row's own quantile gets half its say
    slope_ridge: float = 0.02  # pull of the line over rows towards a constant
    line_floor: float = 0.3  # a line never falls below this share of its middle

    median_s: float = 0.4  # span of the median before the exponential mean

    # surface: what belongs to objects, moving or not
    covered_least: float = 10.0  # luma levels off the background
    covered_spreads: float = 3.0  # ... and spreads of it
    moving_surface: float = 0.3  # what the network sees moving counts that much as surface where nothing is covered

    # speed
    speed_quantile: float = 0.9
    speed_prior: float = 20.0  # px/s
    speed_prior_mass: float = 10.0

    # what each cell has seen
    high_half_life_s: float = 7 * 86400.0  # in which what a cell has counted halves
    high_share: float = 0.05  # of the passages of a cell that reach what is usual there

    # appearance
    surprise_quantile: float = 0.9
    activity_bins: int = 4
    row_groups: int = 3
    surprise_cap: float = 5.0  # times what is expected: beyond that a cell counts no more
    surprise_prior: float = 1.3
    surprise_mass: float = 10.0  # cell-seconds

    # static change
    background_samples: int = 31
    background_s: float = 100.0  # footage that they cover
    sample_every_s: float = 0.4  # while young
    light_every_s: float = 0.4  # between two fits of the light's gain and offset
    static_spread_floor: float = 1.8  # luma levels
    static_spread_quantile: float = 0.8
    static_tolerance: float = 2.5  # spreads that are nobody's business
    static_full: float = 3.0  # spreads beyond it that count in full
    static_away_s: float = 0.5
    static_held_s: float = 1.5
    static_lately_s: float = 0.4
    static_still: float = 2.0  # luma levels
    static_most: float = 6.0  # times ``scoring.left_behind_s``: it counts no further
    static_motion: float = 0.08  # activity times share of what is fast: above it a cell shows something moving
    static_hold_s: float = 1.0  # stood that long, it is kept out of the background while a flag is up

    # several cues at once
    combined_s: float = 4.0  # each cue counts by its highest value of the last one to two of these
    combined_cues: int = 4  # the strongest of them; all but the very strongest are added up
    combined_beyond: float = 0.4  # powers of ten a second: a cue that is unusual each few seconds says nothing
    combined_most: float = 2.5  # ... more than that: no cue counts for more, since young tails are often wrong

    # learning
    learn_delay_s: float = 4.0  # a frame is learnt that long after it was judged
    learn_every_s: float = 0.2  # frames nearer than that are nearly the same: the evidences learn one for all
    unlearn_margin_s: float = 4.0  # nothing is learnt that long after a flag
    flagged_share: float = 0.05  # of what is flagged nearly all the time is learnt: the world may change for good
    min_peaks: int = 3  # of all evidences together, before a camera is calibrated ...
    patience: float = 2.0  # ... or that many times calibrated_after_s: a calm camera may never show so many
    decluster_gap_s: float = 3.0
    accepted_after_s: float = 10.0  # of calm: what was flagged for too long is normal now, flags count again
    tail_after: float = 0.25  # share of warming_after_s before values enter the tails: the first are of no use
    young_margin: float = 0.75  # powers of ten taken off a cue that must learn, of which nothing was learnt yet
    young_margin_s: float = 180.0  # learnt footage after which nothing is taken off any more
    young_s: float = 900.0  # learnt footage of a young camera: it may raise one incident more
    young_busy_s: float = 60.0  # ... in which objects moved: while it has less of either, it learns flagged frames too
    half_known_s: float = 3600.0  # learnt footage after which what was counted has half its say in what is expected
    lift: float = 0.25  # powers of ten by which the first incident beyond what is allowed lifts the threshold, halved
    most_lift: float = 8.0
    lift_budget: float = 2.0  # a day: at larger ones the lift counts incidents against their root, as chance does
    region_share: float = 0.7  # of the frame's score: cells above it belong to a region in any case


TUNING = Tuning()

TAILS = {
    Reason.SPEED: TailPrior(floor=1.1, scale=0.13, shape=0.15, rate_per_hour=3.0, rate_worth_s=800.0, share=0.19),
    Reason.APPEARANCE: TailPrior(floor=1.6, scale=0.3, shape=-0.2, rate_per_hour=1.0, rate_worth_s=600.0, share=0.01),
    Reason.STATIC_CHANGE: TailPrior(floor=1.0, scale=0.5, shape=0.1, rate_per_hour=6.0, rate_worth_s=500.0, share=0.06),
    Reason.DIRECTION: TailPrior(floor=1.0, scale=0.2, shape=-0.1, rate_per_hour=15.0, rate_worth_s=1500.0, share=0.075),
    Reason.SIZE: TailPrior(floor=1.0, scale=0.2, shape=0.0, rate_per_hour=15.0, rate_worth_s=600.0, share=0.04),
    Reason.PACE: TailPrior(floor=0.7, scale=0.2, shape=0.0, rate_per_hour=10.0, rate_worth_s=600.0, share=0.06),
    Reason.MOVEMENT: TailPrior(floor=2.0, scale=0.25, shape=-0.1, rate_per_hour=3.0, rate_worth_s=900.0, share=0.06),
    Reason.HOUR: TailPrior(floor=2.0, scale=0.3, shape=-0.1, rate_per_hour=1.0, rate_worth_s=3600.0, share=0.035),
    Reason.ABSENCE: TailPrior(floor=1.0, scale=0.2, shape=0.0, rate_per_hour=0.5, rate_worth_s=150.0, share=0.04),
    Reason.FALL: TailPrior(floor=0.25, scale=0.1, shape=-0.2, rate_per_hour=5.0, rate_worth_s=900.0, share=0.145),
    Reason.AGITATION: TailPrior(floor=0.5, scale=0.11, shape=-0.2, rate_per_hour=1.1, rate_worth_s=600.0, share=0.035),
    Reason.COMBINED: TailPrior(floor=1.0, scale=0.75, shape=0.0, rate_per_hour=13.0, rate_worth_s=1200.0, share=0.25),
}
"""Units of each cue; of static change, times ``scoring.left_behind_s``.

After ``python -m benchmarks.tails``, rounded, and set by hand where there were few peaks (static change, movement,
hour, fall). Absence was above its floor but once in three hours of two lines: its rate is worth little. The shares
follow what each cue catches on real scenes and in worlds (docs/detector.md).
"""

OVERALL = TailPrior(floor=1.6, scale=0.434, shape=0.0, weight=24.0, rate_per_hour=90.0, rate_worth_s=1800.0)
"""Of the largest exponent, powers of ten a second: at first it is what it says, whatever cameras have shown."""

NEEDS_NO_LEARNING = (Reason.FALL, Reason.AGITATION)
"""Cues whose unit is the object itself: they mean the same on every camera from the first seconds on."""
