"""``vad calibrate`` and what uses its file, as processes."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.service.test_cli import vad


def test_a_recording_is_judged_from_its_first_frame_by_what_was_calibrated(tmp_path: Path, footage: Path) -> None:
    out = tmp_path / "street.npz"
    done = vad("calibrate", str(footage), "--out", str(out), "--model-width", "320")
    assert done.returncode == 0, done.stderr
    assert "about 320 px wide" in done.stderr
    assert "96 frames of 1 video" in done.stderr
    assert "s a minute" in done.stderr
    scanned = vad("scan", str(footage), "--json", "--calibration", str(out))
    assert scanned.returncode == 0, scanned.stderr
    (found,) = json.loads(scanned.stdout)
    assert (found["judged_from_s"], found["model_width"]) == (0.0, 320)
    narrow = vad("scan", str(footage), "--calibration", str(out), "--model-width", "160")
    assert narrow.returncode == 1
    assert "analysed 160 px wide, its calibration is for 320 px; allowed: the same width" in narrow.stderr


def test_settings_and_masks_come_from_a_camera_of_a_site(tmp_path: Path, footage: Path) -> None:
    site = tmp_path / "site.yaml"
    mask = {"points": [[0.0, 0.0], [0.3, 0.0], [0.3, 0.3]]}
    site.write_text(yaml.safe_dump({"cameras": {"gate": {"url": "rtsp://h/1", "analysis_fps": 5, "masks": [mask]}}}))
    done = vad("calibrate", str(footage), "--out", str(tmp_path / "a.npz"), "--config", str(site), "--camera", "gate")
    assert done.returncode == 0, done.stderr
    assert "60 frames" in done.stderr
    wrong = vad("calibrate", str(footage), "--out", str(tmp_path / "b.npz"), "--config", str(site), "--camera", "gat")
    assert wrong.returncode == 2
    assert "no camera 'gat'; allowed: gate" in wrong.stderr


def test_mistakes_end_in_a_message(tmp_path: Path, footage: Path) -> None:
    for arguments, status, words in (
        (("calibrate", str(footage), "--out", "/nowhere/a.npz"), 1, "/nowhere/a.npz: cannot be written there"),
        (("scan", str(footage), "--calibration", str(tmp_path / "a.npz")), 2, "is not a file"),
        (("scan", str(footage), "--model-width", "wide"), 2, "'auto', 160, 240 or 320; got 'wide'"),
        (("train", str(tmp_path), "--out", str(tmp_path / "a.safetensors")), 1, "no clip in it"),
    ):
        done = vad(*arguments)
        assert done.returncode == status, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
