"""Whatever is killed, whenever: every subscriber that comes back has every event once, in order, none missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.events.disks import small_disk
from tests.events.killing import Herd, Site, complaints

ROOT = Path(__file__).parents[2]


def kill(*arguments: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.events.killing", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False)
    assert done.stdout, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    assert result["complaints"] == [], done.stdout + done.stderr
    return result


@pytest.mark.slow
def test_a_hundred_rounds_of_kills_lose_nothing_and_repeat_nothing() -> None:
    result = kill("--rounds", "100", "--seed", "7")
    assert result["events"] > 2_000


@pytest.mark.slow
def test_kills_on_a_disk_that_is_full_at_times_lose_nothing_that_was_stored(tmp_path: Path) -> None:
    with small_disk(tmp_path / "can_it_be_mounted", kib=64):
        pass
    result = kill("--rounds", "40", "--seed", "8", "--full-disk")
    assert result["events"] > 500


E = "0123456789abcdef"
WHOLE = [f"{E}-{n} run-{n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        (WHOLE[:2] + WHOLE[3:], "noted '0123456789abcdef-4 run-4' as its event 3"),
        (WHOLE[:4], "noted None as its event 5"),
        (WHOLE[:2] + WHOLE[1:], "noted '0123456789abcdef-2 run-2' as its event 3"),
        ([WHOLE[1], WHOLE[0], *WHOLE[2:]], "as its event 1"),
        ([*WHOLE, f"{E}-6 run-6"], "the journal has None"),
        (["LOST 1-1", *WHOLE[1:]], "noted 'LOST 1-1'"),
    ],
    ids=["missing", "missing at the end", "twice", "out of order", "never stored", "lost"],
)
def test_the_check_finds_what_is_wrong(tmp_path: Path, noted: list[str], words: str) -> None:
    herd = Herd(Site(tmp_path, tmp_path))
    assert complaints(herd, WHOLE, {0: WHOLE}) == []
    (found,) = complaints(herd, WHOLE, {0: WHOLE, 1: noted})
    assert words in found


def test_the_check_finds_a_hole_in_the_journal_or_in_what_was_raised(tmp_path: Path) -> None:
    herd = Herd(Site(tmp_path, tmp_path))
    holed = WHOLE[:2] + WHOLE[3:]
    assert len(complaints(herd, holed, {0: holed})) == 2
    skipped = [*WHOLE[:2], f"{E}-3 run-4"]
    (found,) = complaints(herd, skipped, {0: skipped})
    assert "order in which they were raised" in found
