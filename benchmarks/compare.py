"""Two runs of one benchmark: what differs beyond their noise.

    python -m benchmarks.compare BEFORE.json AFTER.json [--samples 10000]

Works on what a benchmark keeps under ``repetitions``: ``{figure: [value, ...]}``. For each figure that both have, the
ratio of the medians (after over before) with its 95 % bootstrap interval: both runs' repetitions are drawn anew, with
replacement. Where the interval holds 1 the runs are the same within noise. Exit code 1 when nothing can be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FEWEST = 3
"""Repetitions of each run, below which an interval would say nothing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """After over before."""

    ratio: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        return self.low <= 1.0 <= self.high


def compare(before: list[float], after: list[float], *, samples: int = 10_000, seed: int = 0) -> Comparison:
    """Of two lists of positive values. Raises ValueError when one has fewer than FEWEST."""
    if min(len(before), len(after)) < FEWEST:
        raise ValueError(f"{len(before)} and {len(after)} repetitions; allowed: at least {FEWEST} each")
    random = np.random.default_rng(seed)
    drawn = [np.median(random.choice(values, (samples, len(values))), axis=1) for values in (before, after)]
    low, high = np.quantile(drawn[1] / drawn[0], [0.025, 0.975])
    return Comparison(float(np.median(after) / np.median(before)), float(low), float(high))


def repetitions(path: Path) -> dict[str, list[float]]:
    """What a benchmark's JSON keeps of each repetition; ends the program where it keeps nothing."""
    try:
        kept = json.loads(path.read_text()).get("repetitions")
    except (OSError, ValueError, AttributeError) as exc:
        sys.exit(f"{path}: {exc}; allowed: what a benchmark wrote with --json")
    if not kept:
        sys.exit(
            f"{path}: keeps no repetitions; "
            "allowed: the JSON of file_throughput, still, latency, cameras, model or peers"
        )
    return {name: [float(value) for value in values] for name, values in kept.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--samples", type=int, default=10_000)
    options = parser.parse_args()
    before, after = repetitions(options.before), repetitions(options.after)
    shared = [name for name in before if name in after]
    if not shared:
        sys.exit(f"no figure in both: {', '.join(before)} against {', '.join(after)}")
    print(f"{'figure':<28}{'before':>12}{'after':>12}   after / before")
    for name in shared:
        medians = f"{name:<28}{np.median(before[name]):>12.4g}{np.median(after[name]):>12.4g}"
        try:
            found = compare(before[name], after[name], samples=options.samples)
        except ValueError as exc:
            print(f"{medians}   {exc}")
            continue
        interval = f"({found.low:.3f} to {found.high:.3f})"
        print(f"{medians}   {'same within noise' if found.is_noise else f'{found.ratio:.3f}'} {interval}")


if __name__ == "__main__":
    main()
