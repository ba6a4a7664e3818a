"""What all tests of the service share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from vad.scoring import scorer
from vad.scoring.cell_highs import CellHighs
from vad.scoring.raise_control import RaiseControl


@pytest.fixture(scope="package", autouse=True)
def _what_recurs_is_raised_each_time() -> Iterator[None]:
    """Their footage shows the same vehicle every twelve seconds, and each time an incident is wanted.

    So no place gets used to it, nothing flagged is learnt from the first frame on, and no incident lifts the bar.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CellHighs, "apply", lambda self, maps: None)
        patch.setattr(RaiseControl, "lift", property(lambda self: 0.0))
        patch.setattr(scorer, "TUNING", dataclasses.replace(scorer.TUNING, young_s=0.0, young_busy_s=0.0))
        yield
