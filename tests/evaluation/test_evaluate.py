"""A whole dataset judged: the live engine's own scores, nothing learnt from the test, every frame once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.sites import make_site, wait_for
from tests.video.clips import write_video
from vad.config import CameraConfig, ModelSettings
from vad.errors import CalibrationError, DatasetError
from vad.evaluation.evaluate import Evaluation, Request, evaluate
from vad.evaluation.figures import Figures
from vad.evaluation.measures import Undefined
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.engine import Engine
from vad.pipeline.judge import Judge, calibration_path
from vad.scoring import storage
from vad.types import CellMap, Stage

MODEL = ModelSettings(device="cpu")


@pytest.fixture(scope="session")
def evaluation(small_dataset: Path) -> Evaluation:
    return evaluate(Request(small_dataset, MODEL))


@pytest.fixture
def copied(small_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, to be broken."""
    return Path(shutil.copytree(small_dataset, tmp_path / "copy"))


@pytest.fixture(scope="session")
def calibration(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the train clips teach, as the file that a camera named ``gate`` would have."""
    runner = make_runner(load_weights(MODEL.weights), device="cpu")
    videos = [str(small_dataset / "train" / name) for name in ("1.mp4", "2.mp4")]
    learnt = calibrate(videos, camera=CameraConfig(url="x", analysis_fps=10.0), runner=runner)
    path = calibration_path(tmp_path_factory.mktemp("site") / "calibration", "gate")
    learnt.scorer.save(path, weights_sha256=runner.card.sha256)
    return path


def scores_of(evaluation: Evaluation, clip: str) -> np.ndarray:
    return next(judged.scores for judged in evaluation.clips if judged.name == clip)


def test_every_frame_of_every_test_clip_has_one_score(evaluation: Evaluation) -> None:
    assert [(clip.name, len(clip.scores)) for clip in evaluation.clips] == [("calm", 40), ("vehicle", 80)]
    assert evaluation.stage is Stage.CALIBRATED
    for clip in evaluation.clips:
        assert np.isfinite(clip.scores).all()
        assert clip.times_s == pytest.approx(np.arange(len(clip.scores)) / 10.0)
        assert len(clip.heats) == len(clip.reported) == len(clip.reasons) == len(clip.scores)


def test_a_vehicle_among_walkers_is_ranked_above_them(evaluation: Evaluation) -> None:
    figures = Figures.of(evaluation)
    assert figures.live["auroc_micro"] > 0.8  # type: ignore[operator]
    assert figures.live["tbdc"] > 0.3  # type: ignore[operator]
    assert 0.0 <= figures.live["rbdc"] <= figures.live["tbdc"]  # type: ignore[operator]


def test_the_live_engine_gives_the_same_scores(
    small_dataset: Path, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(calibration.parent, tmp_path / "calibration")
    clip = small_dataset / "test" / "vehicle.mp4"
    live: list[float] = []
    step = Judge.step

    def unlearning(judge: Judge, cell_map: CellMap) -> object:
        judge.scorer.learning = False
        result = step(judge, cell_map)
        live.append(result[0].score)
        return result

    camera = {"url": str(clip), "realtime": False, "analysis_fps": 60.0, "false_alarms_per_day": 2.0}
    site = make_site(tmp_path, {"gate": camera})
    with monkeypatch.context() as patch:
        patch.setattr(Judge, "step", unlearning)
        engine = Engine(site)
        engine.start()
        wait_for(lambda: engine.is_stopping, what="the end of the clip")
        engine.stop()
    assert engine.status().cameras["gate"].frames.scored == 80
    evaluated = scores_of(evaluate(Request(small_dataset, MODEL, calibration=calibration)), "vehicle")
    assert max(live) > 1.0
    assert np.array(live) == pytest.approx(evaluated, abs=1e-4)


def test_a_calibration_file_serves_as_the_train_clips_do(
    small_dataset: Path, evaluation: Evaluation, calibration: Path
) -> None:
    from_file = evaluate(Request(small_dataset, MODEL, calibration=calibration))
    for clip in ("calm", "vehicle"):
        assert scores_of(from_file, clip) == pytest.approx(scores_of(evaluation, clip), abs=1e-4)


def test_no_clip_knows_of_another(copied: Path, evaluation: Evaluation) -> None:
    """What comes before a clip, and how much of it, makes no difference to its scores."""
    (copied / "test" / "vehicle.mp4").rename(copied / "test" / "a.mp4")
    labels = json.loads((copied / "labels.json").read_text())
    labels["a"] = labels.pop("vehicle")
    (copied / "labels.json").write_text(json.dumps(labels))
    (copied / "test_masks_packbits_180x320.npz").unlink()
    turned = evaluate(Request(copied, MODEL))
    assert [clip.name for clip in turned.clips] == ["a", "calm"]
    assert scores_of(turned, "a").tolist() == scores_of(evaluation, "vehicle").tolist()
    assert scores_of(turned, "calm").tolist() == scores_of(evaluation, "calm").tolist()


def test_nothing_but_the_labels_are_taken_from_the_labels(copied: Path, evaluation: Evaluation) -> None:
    (copied / "labels.json").write_text(json.dumps({"calm": [], "vehicle": []}))
    (copied / "test_masks_packbits_180x320.npz").unlink()
    unlabelled = evaluate(Request(copied, MODEL))
    assert scores_of(unlabelled, "vehicle").tolist() == scores_of(evaluation, "vehicle").tolist()


def test_the_width_is_that_given_or_the_calibration_s_or_one_that_suits_the_people(
    small_dataset: Path, copied: Path, calibration: Path, evaluation: Evaluation
) -> None:
    fixed = evaluate(Request(small_dataset, MODEL, calibrate_on="none", model_width=320))
    assert fixed.model_width == Figures.of(fixed).as_json(fixed)["model_width"] == 320
    assert {heat.shape for clip in fixed.clips for heat in clip.heats if heat is not None} == {(23, 40)}
    learnt, _ = storage.load(calibration)
    assert evaluation.model_width == evaluate(Request(small_dataset, MODEL, calibration=calibration)).model_width
    other = 320 if learnt["geometry"]["pool"] == 2 else 160
    with pytest.raises(DatasetError, match=r"analysed [0-9]+ px wide, unlike what .*; allowed: the width of it"):
        evaluate(Request(small_dataset, MODEL, calibration=calibration, model_width=other))
    shutil.rmtree(copied / "train")
    assert evaluate(Request(copied, MODEL, calibrate_on="before")).model_width in (160, 240)  # by what comes before


def test_calibrating_on_nothing_judges_by_priors(small_dataset: Path, evaluation: Evaluation) -> None:
    priors = evaluate(Request(small_dataset, MODEL, calibrate_on="none"))
    assert priors.calibrated_on == "nothing: priors alone"
    assert priors.stage is Stage.CALIBRATED
    assert np.ptp(scores_of(priors, "vehicle")) > 0.0
    assert scores_of(priors, "vehicle").tolist() != scores_of(evaluation, "vehicle").tolist()


def test_an_all_normal_test_set_gives_what_has_a_meaning_and_names_the_rest(copied: Path) -> None:
    (copied / "labels.json").write_text(json.dumps({"calm": [], "vehicle": []}))
    (copied / "test_masks_packbits_180x320.npz").unlink()
    result = evaluate(Request(copied, MODEL, calibrate_on="none"))
    figures = Figures.of(result)
    said = figures.as_json(result)
    assert said["live"]["auroc_micro"] is None
    assert said["undefined"]["live.auroc_micro"].startswith("every frame is normal")
    assert said["undefined"]["operating_point.recall"] == "every frame is normal"
    assert said["operating_point"]["false_alarms_per_hour"] is not None
    assert said["operating_point"]["events_total"] == 0


def test_an_all_abnormal_test_set_likewise(copied: Path) -> None:
    (copied / "labels.json").write_text(json.dumps({"calm": [[0, 40]], "vehicle": [[0, 80]]}))
    figures = Figures.of(evaluate(Request(copied, MODEL, calibrate_on="none")))
    assert isinstance(figures.live["eer"], Undefined)
    assert isinstance(figures.point.false_alarms_per_hour, Undefined)
    assert figures.undefined["live.rbdc"] == "neither pixel masks nor boxes of calm"
    assert isinstance(figures.point.recall, float)


def test_the_json_has_every_figure_that_was_promised(evaluation: Evaluation) -> None:
    said = json.loads(json.dumps(Figures.of(evaluation).as_json(evaluation)))
    ranking = {"auroc_micro", "auroc_macro", "average_precision", "eer"}
    assert ranking | {"rbdc", "tbdc"} <= set(said["live"])
    assert ranking <= set(said["literature"])
    point = {"precision", "recall", "f1", "false_alarms_per_hour", "events_caught", "events_total", "median_delay_s"}
    assert point <= set(said["operating_point"])
    assert set(said["clips"]) == {"calm", "vehicle"}
    assert said["frames_per_second"] > 0.0
    assert said["clips"]["calm"]["auroc"] is None
    assert said["clips"]["vehicle"]["auroc"] == pytest.approx(said["live"]["auroc_macro"])


def break_labels(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps({"calm": [0] * 39, "vehicle": []}))


def leave_one_out(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps({"calm": []}))


def spoil_a_clip(folder: Path) -> None:
    (folder / "test" / "vehicle.mp4").write_bytes(b"no video at all" * 100)


def empty_train(folder: Path) -> None:
    shutil.rmtree(folder / "train")


def empty_test(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    (folder / "labels.json").unlink()
    (folder / "test_masks_packbits_180x320.npz").unlink()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (break_labels, "clip 'calm': labels of 39 frames; expected 40"),
        (leave_one_out, "clip 'vehicle': has no labels"),
        (spoil_a_clip, "clip 'vehicle': .*not a video"),
        (empty_train, "no clip in train/ to calibrate on"),
        (empty_test, "no clip in test/"),
    ],
)
def test_what_is_wrong_with_the_dataset_is_said_before_anything_is_judged(
    copied: Path, fault: Callable[[Path], None], words: str
) -> None:
    fault(copied)
    seen: list[str] = []
    with pytest.raises(DatasetError, match=words):
        evaluate(Request(copied, MODEL, calibrate_on="train"), progress=lambda what, done, total: seen.append(what))
    assert set(seen) <= {"checking"}


def test_clips_of_another_size_than_what_is_normal_are_refused(
    small_dataset: Path, copied: Path, calibration: Path
) -> None:
    write_video(copied / "test" / "calm.mp4", width=352, height=288, fps=10, frames=40)
    with pytest.raises(DatasetError, match=r"calm\.mp4: 352x288, unlike what it is judged by"):
        evaluate(Request(copied, MODEL, calibration=calibration))


def test_a_calibration_of_other_weights_is_refused(copied: Path, calibration: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="is not there"):
        evaluate(Request(copied, MODEL, calibration=tmp_path / "none.npz"))
    meta, arrays = storage.load(calibration)
    other = tmp_path / "other.npz"
    storage.save(other, {**meta, "weights_sha256": "0" * 64}, arrays)
    with pytest.raises(CalibrationError, match="weights sha256"):
        evaluate(Request(copied, MODEL, calibration=other))


def test_boxes_serve_as_masks_do(copied: Path, evaluation: Evaluation) -> None:
    (vehicle,) = (clip for clip in evaluation.clips if clip.name == "vehicle")
    assert vehicle.truth is not None
    boxes = [
        [index, track, *(float(value) for value in box)]
        for index, frame in enumerate(vehicle.truth)
        for box, track in zip(frame.boxes, frame.tracks, strict=True)
    ]
    (copied / "test_masks_packbits_180x320.npz").unlink()
    (copied / "boxes.json").write_text(json.dumps({"vehicle": boxes}))
    from_boxes = Figures.of(evaluate(Request(copied, MODEL)))
    from_masks = Figures.of(evaluation)
    assert from_boxes.live["rbdc"] == pytest.approx(from_masks.live["rbdc"])
    assert from_boxes.live["tbdc"] == pytest.approx(from_masks.live["tbdc"])
