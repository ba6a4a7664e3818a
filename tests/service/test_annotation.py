"""``vad annotate``: marks go in and come out the same, and are checked against the clip's own frames."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.service.test_cli import vad
from tests.video.clips import VideoFile
from vad.errors import DatasetError
from vad.video.labels import with_entry
from vad.video.marks import marks_text, read_marks

TIMES_S = [index / 10.0 for index in range(50)]


def marks(path: Path, text: str, clip: str = "walk", times_s: list[float] = TIMES_S) -> list[tuple[int, int]]:
    path.write_text(text)
    return read_marks(path, clip=clip, times_s=times_s, frame_s=0.1)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "marks.csv"


def test_frames_and_seconds_say_the_same(csv: Path) -> None:
    assert marks(csv, "first,last_exclusive\n20,30\n3,7\n") == [(3, 7), (20, 30)]
    assert marks(csv, "start_s,end_s\n2.0,3.0\n0.3,0.7\n") == [(3, 7), (20, 30)]


def test_seconds_between_two_frames_begin_at_the_next(csv: Path) -> None:
    assert marks(csv, "start_s,end_s\n0.31,0.69\n") == [(4, 7)]
    assert marks(csv, "start_s,end_s\n0,5.0\n") == [(0, 50)]  # the last frame is shown until then


def test_seconds_follow_the_frames_own_times(csv: Path) -> None:
    assert marks(csv, "start_s,end_s\n1.0,9.0\n", times_s=[0.0, 0.5, 1.0, 4.0, 9.0]) == [(2, 4)]


def test_spreadsheet_habits_are_fine(csv: Path) -> None:
    text = "\ufeffclip, first , last_exclusive,remark\nwalk, 3 ,7,a bicycle\n\nother,1,2,\nwalk,20,30,\n"
    assert marks(csv, text) == [(3, 7), (20, 30)]
    assert marks(csv, "first,last_exclusive\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from,to\n1,2\n", "columns from, to; allowed: first,last_exclusive or start_s,end_s"),
        ("", "columns nothing; allowed"),
        ("first,last_exclusive\n1,2\n1.5,3\n", "line 3: first: got '1.5'; allowed: a frame number"),
        ("first,last_exclusive\n1\n", "line 2: last_exclusive: got ''"),
        ("first,last_exclusive\n1,51\n", r"line 2: interval \[1, 51\]; allowed: 0 <= first < last_exclusive <= 50"),
        ("first,last_exclusive\n1,5\n4,6\n", r"intervals \[1, 5\] and \[4, 6\] overlap"),
        ("start_s,end_s\n1,nan\n", "line 2: end_s: got 'nan'; allowed: seconds"),
        ("start_s,end_s\n3,2\n", "line 2: 3 to 2 s; allowed: 0 <= start_s < end_s <= 5.000"),
        ("start_s,end_s\n1,5.2\n", "allowed: 0 <= start_s < end_s <= 5.000"),
        ("start_s,end_s\n0.31,0.39\n", "line 2: no frame is shown from 0.31 to 0.39 s"),
    ],
)
def test_marks_that_do_not_fit_are_refused_with_their_line(csv: Path, text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        marks(csv, text)


def test_what_is_written_reads_back_the_same(csv: Path) -> None:
    intervals = [(0, 7), (20, 50)]
    assert marks(csv, marks_text("walk", intervals, times_s=TIMES_S, frame_s=0.1)) == intervals


def test_an_entry_is_set_and_all_others_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"b": [0, 1], "walk": [[0, 1]]}))
    text = with_entry(path, "walk", [(3, 7)])
    assert json.loads(text) == {"b": [0, 1], "walk": [[3, 7]]}


def test_marks_travel_from_csv_to_labels_and_back(tmp_path: Path, video_file: VideoFile) -> None:
    clip = video_file("walk.mp4", frames=50, fps=25)
    labels, out = tmp_path / "labels.json", tmp_path / "out.csv"
    (tmp_path / "in.csv").write_text("start_s,end_s\n0.4,1.2\n")
    done = vad("annotate", str(clip), "--from", str(tmp_path / "in.csv"), "--out", str(labels))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "walk: 50 frames, 20 abnormal in 1 interval\n  frames 10 to 29: 0.40 to 1.20 s\n"
    assert json.loads(labels.read_text()) == {"walk": [[10, 30]]}
    done = vad("annotate", str(clip), "--out", str(labels), "--to-csv", str(out))
    assert done.returncode == 0, done.stderr
    assert out.read_text() == "clip,first,last_exclusive,start_s,end_s\nwalk,10,30,0.400,1.200\n"
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps({"walk": [0] * 40 + [1] * 10}))
    assert vad("annotate", str(clip), "--from", str(flags), "--out", str(labels)).returncode == 0
    assert json.loads(labels.read_text()) == {"walk": [[40, 50]]}


def test_what_does_not_fit_leaves_the_labels_as_they_were(tmp_path: Path, video_file: VideoFile) -> None:
    clip = video_file("walk.mp4", frames=20)
    labels = tmp_path / "labels.json"
    labels.write_text('{"walk": [[0, 5]], "other": []}')
    (tmp_path / "in.csv").write_text("first,last_exclusive\n0,21\n")
    done = vad("annotate", str(clip), "--from", str(tmp_path / "in.csv"), "--out", str(labels))
    assert done.returncode == 1
    assert "allowed: 0 <= first < last_exclusive <= 20" in re.sub(r"\s+", " ", done.stderr)
    assert labels.read_text() == '{"walk": [[0, 5]], "other": []}'


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "nowhere to write"),
        (["--to-csv", "x.csv"], 2, "nothing to read"),
        (["--out", "none.json"], 1, "is not there yet, and no marks are given"),
        (["--out", "labels.json"], 1, "says nothing of clip 'walk'; there: other"),
        (["--from", "none.csv", "--out", "labels.json"], 1, "cannot be read"),
        (["--from", "good.csv", "--out", "none/labels.json"], 1, "cannot be written"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, video_file: VideoFile, arguments: list[str], status: int, words: str
) -> None:
    clip = video_file("walk.mp4", frames=20)
    (tmp_path / "labels.json").write_text('{"other": []}')
    (tmp_path / "good.csv").write_text("first,last_exclusive\n0,5\n")
    done = vad("annotate", str(clip), *arguments, cwd=tmp_path)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clip_that_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path, words in (("notes.txt", "is no video file by its name"), ("none.mp4", "no such file or folder")):
        done = vad("annotate", str(tmp_path / path), "--out", str(tmp_path / "labels.json"))
        assert done.returncode == 1
        assert words in done.stderr
