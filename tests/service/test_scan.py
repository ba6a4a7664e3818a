"""What a scan says of recordings that are not in one piece, and of odd names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.video.clips import VideoFile
from vad.config import CameraConfig, ModelSettings
from vad.errors import VadError
from vad.service.report import write_report
from vad.service.scan import FileResult, print_results, scan_files
from vad.video.recording import pictures_at


def scanned(path: Path, **settings: Any) -> FileResult:
    camera = CameraConfig(url="x", analysis_fps=25.0, **settings)
    (result,) = scan_files([str(path)], camera=camera, model=ModelSettings(), console=Console(file=io.StringIO()))
    return result


@pytest.fixture
def jumping(tmp_path: Path, video_file: VideoFile) -> Path:
    """Two seconds whose time stamps jump ahead by eight in the middle."""
    first = video_file("first.ts", frames=25)
    second = video_file("second.ts", frames=25, pts=lambda index: 225 + index)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def test_a_recording_with_a_gap_has_one_time_line(jumping: Path) -> None:
    result = scanned(jumping)
    times = [at_s for at_s, _, _ in result.curve]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2.0, abs=0.15)
    assert len(result.run_starts_s) == 2


def test_the_width_is_said_that_was_fixed_and_that_nobody_was_seen_to_choose(clip_h264: Path, tmp_path: Path) -> None:
    results = [scanned(clip_h264, model_width=240), scanned(clip_h264)]
    assert [result.as_json()["model_width"] for result in results] == [240, 160]
    console = Console(file=io.StringIO(), width=200)
    print_results(results[:1], console=console)
    assert "analysed, about 240 px wide" in console.file.getvalue()  # type: ignore[attr-defined]
    write_report(tmp_path / "report.html", results[:1])
    assert "about 240 px wide" in (tmp_path / "report.html").read_text()


def test_a_picture_that_is_too_small_is_said_to_be(video_file: VideoFile, tmp_path: Path) -> None:
    small = scanned(video_file("small.mp4", width=98, height=66, frames=50))
    assert small.as_json()["warning"] == small.warning
    assert small.warning.startswith("a picture of 98x66 is too small to judge")
    console = Console(file=io.StringIO(), width=200)
    print_results([small], console=console)
    assert small.warning in console.file.getvalue()  # type: ignore[attr-defined]
    write_report(tmp_path / "report.html", [small])
    assert small.warning in (tmp_path / "report.html").read_text()
    assert scanned(video_file("large.mp4", width=176, height=144, frames=50)).warning == ""


def test_pictures_are_found_behind_a_gap(jumping: Path) -> None:
    early, late, none = pictures_at(str(jumping), at_s=[0.5, 1.5, 3.0], width=80)
    assert early is not None
    assert late is not None
    assert early.shape == late.shape == (45, 80, 3)
    assert none is None


def test_a_recording_that_breaks_off_keeps_its_account(tmp_path: Path, video_file: VideoFile) -> None:
    whole = video_file("whole.ts", frames=50)
    data = whole.read_bytes()
    path = tmp_path / "broken.ts"
    path.write_bytes(data[: len(data) // 2] + bytes(4_000_000))
    result = scanned(path)
    assert result.error.startswith("broken")
    assert result.frames.received == len(result.curve) > 0
    assert result.frames.is_balanced


def test_brackets_in_a_name_are_printed_as_they_are(tmp_path: Path) -> None:
    page = io.StringIO()
    folder = tmp_path / "walk [bold] ["
    folder.mkdir()
    path = folder / "final].mp4"
    print_results([scanned(path)], console=Console(file=page, width=400))
    assert page.getvalue().count(str(path)) == 2


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    with pytest.raises(VadError, match="cannot be written"):
        write_report(tmp_path / "report", [])
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
