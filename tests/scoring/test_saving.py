import math

import numpy as np
import pytest

from tests.scoring.test_scorer import SETTINGS, make_scorer
from tests.scoring.walkers import Body, World
from vad.errors import CalibrationError
from vad.scoring import storage
from vad.scoring.scorer import Scorer
from vad.types import Geometry, Stage

SHA = "ab" * 32


def load(path, camera="cam1", *, sha=SHA, **changes) -> Scorer:
    values = {"settings": SETTINGS, "false_alarms_per_day": 2.0, "analysis_fps": 10.0, **changes}
    return Scorer.load(path, camera, weights_sha256=sha, **values)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A scorer that has seen a minute, its world, and its file."""
    path = tmp_path_factory.mktemp("calibration") / "cam1.npz"
    scorer, world = make_scorer(), World(seed=2)
    for cells in world.frames(70.0):
        scorer.step(cells)
    scorer.save(path, weights_sha256=SHA)
    return scorer, world, path


def test_a_restart_gives_the_very_same_scores(saved):
    scorer, world, path = saved
    other = load(path)
    assert other.stage is scorer.stage is Stage.CALIBRATED
    scorer.learning = other.learning = False  # what waits to be learnt is not saved
    world.new_run()
    world.bodies.append(Body(x=5.0, y=70.0, vx=36.0, bounces=False))
    for cells in world.frames(20.0):
        here, there = scorer.step(cells), other.step(cells)
        assert (here.score, here.threshold, here.evidence) == (there.score, there.threshold, there.evidence)
        assert here.reasons == there.reasons
        assert here.regions == there.regions
        assert np.array_equal(here.heat, there.heat)


def test_what_passes_where_and_when_something_moves_come_back(saved):
    scorer, _, path = saved
    other = load(path)
    here, there = scorer._cues.objects.passages.state()["counts"], other._cues.objects.passages.state()["counts"]
    assert here.sum() > 0.0
    assert np.array_equal(here, there)
    hours, again = scorer._cues.hours.state(), other._cues.hours.state()
    assert hours["lately"][0].sum() > 30.0
    assert all(np.array_equal(hours[name], again[name]) for name in hours)


def test_saving_over_a_file_leaves_no_litter(saved):
    scorer, _, path = saved
    scorer.save(path, weights_sha256=SHA)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_other_weights_cameras_and_sizes_are_refused(saved):
    _, _, path = saved
    with pytest.raises(CalibrationError, match=r"weights sha256 is .*abab.*; allowed: .*cdcd"):
        load(path, sha="cd" * 32)
    with pytest.raises(CalibrationError, match="camera is 'cam1'; allowed: 'cam2'"):
        load(path, "cam2")
    with pytest.raises(CalibrationError, match="geometry"):
        load(path, geometry=Geometry(source_width=360, source_height=240, pool=2, width=184, height=120))


def test_the_file_of_an_ordinary_picture_says_what_it_always_said(saved):
    _, _, path = saved
    meta, _ = storage.load(path)
    usual = {"source_width": 640, "source_height": 360, "pool": 4, "width": 160, "height": 96}
    assert meta["geometry"] == usual
    assert load(path, geometry=Geometry(**usual)).geometry == Geometry(**usual)


def test_what_was_learnt_of_a_picture_is_of_no_use_for_the_same_turned(saved, tmp_path):
    _, _, path = saved
    turned = Geometry(640, 360, 4, 160, 96, rotation=180, coded_width=640, coded_height=360)
    with pytest.raises(CalibrationError, match="geometry"):
        load(path, geometry=turned)
    other = make_scorer()
    other.begin_at(turned)
    other.save(tmp_path / "turned.npz", weights_sha256=SHA)
    assert load(tmp_path / "turned.npz", geometry=turned).geometry == turned


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(saved, tmp_path, share):
    _, _, path = saved
    whole = path.read_bytes()
    short = tmp_path / "short.npz"
    short.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CalibrationError, match="allowed"):
        load(short)


def test_foreign_and_missing_files_are_refused(tmp_path):
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, values=np.zeros(3))
    with pytest.raises(CalibrationError, match="allowed"):
        load(foreign)
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(CalibrationError, match="allowed"):
        load(text)
    with pytest.raises(CalibrationError, match="not there"):
        load(tmp_path / "none.npz")


def test_another_version_and_missing_parts_are_refused(saved, tmp_path, monkeypatch):
    scorer, _, path = saved
    monkeypatch.setattr("vad.scoring.storage.VERSION", 99)
    newer = tmp_path / "newer.npz"
    scorer.save(newer, weights_sha256=SHA)
    monkeypatch.undo()
    with pytest.raises(CalibrationError, match=f"version is 99; allowed: {storage.VERSION}"):
        load(newer)
    with np.load(path) as file:
        parts = {name: file[name] for name in file.files if not name.startswith("speed/")}
    lacking = tmp_path / "lacking.npz"
    np.savez(lacking, **parts)
    with pytest.raises(CalibrationError, match="lacks"):
        load(lacking)


def test_a_scorer_without_a_frame_has_nothing_to_save(tmp_path):
    with pytest.raises(CalibrationError, match="no frame"):
        make_scorer().save(tmp_path / "none.npz", weights_sha256=SHA)


def test_a_folder_that_cannot_be_written_says_so(saved, tmp_path):
    scorer, _, _ = saved
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CalibrationError, match="cannot be written"):
        scorer.save(blocked / "cam1.npz", weights_sha256=SHA)


def test_another_picture_size_at_run_time_starts_cold(saved):
    _, _, path = saved
    scorer = load(path)
    other = World(seed=2, geometry=Geometry(source_width=360, source_height=240, pool=2, width=184, height=120))
    score = scorer.step(next(iter(other.frames(1.0))))
    assert score.stage is Stage.COLD
    assert score.threshold == math.inf
