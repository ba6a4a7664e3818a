"""The command's own face: table, JSON, and a report that needs nothing but itself."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.judging import judged
from tests.service.test_cli import vad
from vad.evaluation.charts import WIDTH, delay_chart, score_chart, top_of
from vad.evaluation.operating_point import operating_point


class Reading(HTMLParser):
    """Tags that are open, what they refer to, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def done(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, object], str]:
    """(standard output, JSON, HTML) of one run of the command."""
    folder = tmp_path_factory.mktemp("out")
    files = ["--json", str(folder / "figures.json"), "--report", str(folder / "report.html")]
    result = vad("evaluate", str(small_dataset), *files)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["figures.json", "report.html"]
    return result.stdout, json.loads((folder / "figures.json").read_text()), (folder / "report.html").read_text()


def test_the_table_has_the_live_protocol_first_and_the_other_one_labelled(
    done: tuple[str, dict[str, object], str],
) -> None:
    printed, said, _ = done
    heading = next(line for line in printed.splitlines() if "literature" in line)
    assert heading.split() == ["live", "literature"]
    assert f"{said['live']['auroc_micro']:.3f}" in printed  # type: ignore[index]
    assert "for comparison only" in printed
    assert "budget of 2 false alarms a day" in printed
    assert re.search(r"^vehicle +80 ", printed, re.MULTILINE)


def test_the_report_is_one_file_without_any_reference_outside(done: tuple[str, dict[str, object], str]) -> None:
    page = done[2]
    reading = Reading()
    reading.feed(page)
    assert reading.open == []
    assert reading.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in reading.links)
    assert "http" not in re.sub(r"base64,[^']*", "", page)
    assert "url(" not in page


def test_the_report_shows_what_was_promised(done: tuple[str, dict[str, object], str]) -> None:
    _, said, page = done
    reading = Reading()
    reading.feed(page)
    for words in ("Scores over the ground truth", "Worst misses", "Worst false alarms", "How soon an event came"):
        assert words in reading.text
    for label in ("ROC curve", "precision and recall", "delay of each event"):
        assert page.count(f"aria-label='{label}'") == 1
    assert page.count("aria-label='score over time'") == 2
    assert f"{said['live']['auroc_micro']:.3f}" in reading.text  # type: ignore[index]
    assert page.count("alt='the frame'") == page.count("alt='its heat map'") > 2


def test_names_are_escaped_in_charts() -> None:
    clip = judged([1] * 20, name="<b>&")
    assert "<b>" not in delay_chart(operating_point([clip]).stretches)


def test_a_long_clip_is_drawn_thinly_and_keeps_its_extremes() -> None:
    scores = np.full(50_000, 2.0)
    scores[30_001], scores[40_001] = 7.0, 0.5
    clip = judged([0] * 50_000, scores)
    chart = score_chart(clip, [], top=top_of([clip]))
    line = re.search(r"class='curve' points='([^']*)'", chart)
    assert line is not None
    heights = [float(point.split(",")[1]) for point in line[1].split()]
    assert len(heights) <= 2 * WIDTH
    assert len({min(heights), max(heights), heights[0]}) == 3


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_a_file_that_cannot_be_written_is_said_before_the_long_work(
    small_dataset: Path, tmp_path: Path, option: str
) -> None:
    for path, words in ((tmp_path / "none" / "out", "cannot be written there"), (tmp_path, "is a folder")):
        result = vad("evaluate", str(small_dataset), option, str(path))
        assert result.returncode == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--calibrate-on", "test"], "allowed: train, none"),
        (["--calibrate-on", "none", "--calibration", "x.npz"], "not both"),
        (["--false-alarms-per-day", "0"], "false_alarms_per_day"),
    ],
)
def test_options_that_make_no_sense_are_refused(small_dataset: Path, options: list[str], words: str) -> None:
    result = vad("evaluate", str(small_dataset), *options)
    assert result.returncode == 2
    assert words in result.stderr


def test_a_dataset_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = vad("evaluate", str(tmp_path / "none"))
    assert result.returncode == 1
    assert "no such folder; allowed" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupt_ends_it_cleanly_and_leaves_no_file(small_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    code = (
        "import sys, vad.evaluation.evaluate as e\n"
        "judge = e._judged\n"
        "def told(*a, **k):\n    print('judged', flush=True)\n    import time\n    time.sleep(60)\n"
        "e._judged = told\n"
        f"sys.argv = ['vad', 'evaluate', {str(small_dataset)!r}, '--calibrate-on', 'none', '--json', {str(out)!r}]\n"
        "from vad.cli import main\nmain()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "judged\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30.0)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
