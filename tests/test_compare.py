"""Two runs of a benchmark are told apart when they differ, and only then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare import compare


def test_the_same_distribution_is_noise_nearly_always():
    random = np.random.default_rng(1)
    noise = sum(
        compare(list(random.normal(10, 1, 8)), list(random.normal(10, 1, 8)), samples=500).is_noise for _ in range(100)
    )
    assert noise >= 88


def test_a_real_difference_is_told_with_its_size():
    random = np.random.default_rng(2)
    found = compare(list(random.normal(10, 0.3, 8)), list(random.normal(12, 0.3, 8)))
    assert not found.is_noise
    assert found.low < 1.2 < found.high
    assert found.ratio == pytest.approx(1.2, abs=0.05)


def test_too_few_repetitions_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        compare([1.0, 2.0], [1.0, 2.0, 3.0])


def test_the_command_says_what_differs(tmp_path: Path):
    for name, values in (("a", [1.0, 1.01, 0.99]), ("b", [2.0, 2.01, 1.99])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"repetitions": {"ms": values, "only_" + name: values}}))
    command = [sys.executable, "-m", "benchmarks.compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert "2.000" in done.stdout
    assert "only_a" not in done.stdout
    same = subprocess.run(
        [*command[:-1], command[-2]], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert "same within noise" in same.stdout
