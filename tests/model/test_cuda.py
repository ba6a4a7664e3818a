"""The CUDA runner: the same numbers as ``Runner``. What needs no device is held here on the CPU, uncaptured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.model.factory import clip_of, noise, random_weights
from tests.model.test_runner import FIELDS, assert_same
from vad.config import CameraConfig, ScoringSettings
from vad.errors import EngineError
from vad.model import AnyRunner, Runner, Weights, load_weights, make_runner
from vad.model import making as making_module
from vad.model.cuda import MOST_IDLE_SIZES, CudaRunner
from vad.model.lane import FIRST_SLOTS, Lane, Slots, advance
from vad.model.network import Network
from vad.pipeline.scan import Scan
from vad.types import CellMap, Clip
from vad.video.synthetic import Scene, encode

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def on_cpu(weights: Weights, **options: object) -> CudaRunner:
    return CudaRunner(weights, device=CPU, dtype=torch.float32, **options)  # type: ignore[arg-type]


def moving(count: int, *, seed: int = 0, width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """(count, height, width): blurred noise that drifts, with a bright patch that drifts faster."""
    random = np.random.default_rng(seed)
    scene = np.kron(random.integers(60, 180, (height // 4 + 8, width // 4 + 32)), np.ones((4, 4)))
    pictures = []
    for k in range(count):
        picture = scene[4 : 4 + height, k : k + width].copy()
        picture[20:44, 10 + 3 * k : 30 + 3 * k] = 240 + random.integers(
            -4, 5, picture[20:44, 10 + 3 * k : 30 + 3 * k].shape
        )
        pictures.append(np.clip(picture + random.normal(0, 2, picture.shape), 0, 255))
    return np.stack(pictures).astype(np.uint8)


def calls() -> list[list[Clip]]:
    """Cameras that come, go, begin new runs and change their size, in batches of odd sizes and clips of all lengths."""

    def clip(name: int, call: int, length: int, *, run: int = 1, small: bool = False) -> Clip:
        width, height = (40, 56) if small else (64, 48)
        pictures = noise(length, width, height, seed=100 * call + name)
        return clip_of(pictures, camera=f"camera{name}", run=run, first=8 * call)

    return [
        [clip(k, 0, 1 + k % 4) for k in range(7)],
        [clip(k, 1, 3, run=2 if k % 2 else 1) for k in (6, 2, 1, 0, 5)],
        [clip(3, 2, 1), clip(9, 2, 8), clip(1, 2, 2, run=2, small=True), clip(0, 2, 5), clip(8, 2, 1, small=True)],
        [clip(1, 3, 4, run=2)],
        [],
        [clip(k, 4, 2, run=3 if k == 4 else 1) for k in range(10)],
    ]


@pytest.mark.parametrize("most", [1, 4, 256])
def test_steps_over_static_buffers_give_what_the_runner_gives(most: int) -> None:
    weights = random_weights()
    plain, static = Runner(weights), on_cpu(weights, most=most)
    for number, clips in enumerate(calls()):
        expected, got = plain(clips), static(clips)
        assert len(expected) == len(got)
        for ours, theirs in zip(got, expected, strict=True):
            assert_same(theirs, ours, tolerance=1e-5)
        if number == 1:
            for runner in (plain, static):
                runner.forget("camera2")
                runner.forget("camera3")
                runner.forget("never seen")


def test_the_bundled_weights_give_the_same_numbers_too() -> None:
    weights = load_weights("base")
    plain, static = Runner(weights), on_cpu(weights)
    pictures = moving(12)
    for first in range(0, 12, 4):
        clip = clip_of(pictures[first : first + 4], first=first)
        assert_same(plain([clip])[0], static([clip])[0], tolerance=1e-5)


def test_more_cameras_than_there_is_room_for_at_first_keep_their_states() -> None:
    weights = random_weights()
    plain, static = Runner(weights), on_cpu(weights, most=32)
    for call in range(3):
        count = FIRST_SLOTS - 2 if call == 0 else FIRST_SLOTS + 9
        clips = [clip_of(noise(1, 8, 8, seed=call + 10 * k), camera=str(k), first=call) for k in range(count)]
        for theirs, ours in zip(plain(clips), static(clips), strict=True):
            assert_same(theirs, ours, tolerance=1e-5)


def test_a_slot_given_back_begins_afresh_for_the_next_camera() -> None:
    weights = random_weights()
    static = on_cpu(weights)
    for k in range(3 * FIRST_SLOTS):  # more cameras than slots, one after another
        clip = clip_of(noise(2, 16, 16, seed=k), camera=str(k))
        maps = static([clip])[0]
        static.forget(str(k))
    assert_same(Runner(weights)([clip])[0], maps, tolerance=1e-5)


def test_sizes_without_cameras_are_let_go_after_a_while() -> None:
    weights = random_weights()
    static = on_cpu(weights)
    for k in range(3 * MOST_IDLE_SIZES):
        static([clip_of(noise(1, 16, 16 + 8 * k), camera="wanderer")])
    assert len(static._lanes) <= MOST_IDLE_SIZES + 1
    clip = clip_of(noise(3, 16, 16), camera="wanderer")
    assert_same(Runner(weights)([clip])[0], static([clip])[0], tolerance=1e-5)


def test_a_step_that_does_not_fit_into_memory_is_halved_and_nothing_is_lost() -> None:
    asked: list[int] = []

    def with_little_memory(network: Network, slots: Slots, pictures: Tensor, about: Tensor, out: Tensor) -> None:
        asked.append(len(pictures))
        if len(pictures) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        advance(network, slots, pictures, about, out)

    weights = random_weights()
    plain, static = Runner(weights), on_cpu(weights, step=with_little_memory)
    for call in range(2):
        clips = [clip_of(noise(2, seed=k), camera=str(k), first=2 * call) for k in range(11)]
        for theirs, ours in zip(plain(clips), static(clips), strict=True):
            assert_same(theirs, ours, tolerance=1e-5)
    assert max(asked) == 16
    assert asked.count(16) == 1  # once burnt


def test_no_memory_for_a_single_frame_ends_with_a_clear_error() -> None:
    def without_memory(network: Network, slots: Slots, pictures: Tensor, about: Tensor, out: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore text")

    with pytest.raises(EngineError, match=r"^device cpu failed: CUDA out of memory. Tried to allocate 2.00 GiB$"):
        on_cpu(random_weights(), step=without_memory)


def test_of_a_call_that_failed_nothing_is_left_to_the_next() -> None:
    steps_left = 100

    def at_last_failing(network: Network, slots: Slots, pictures: Tensor, about: Tensor, out: Tensor) -> None:
        nonlocal steps_left
        if not steps_left:
            raise RuntimeError("CUDA error: unspecified launch failure")
        steps_left -= 1
        advance(network, slots, pictures, about, out)

    weights = random_weights()
    static = on_cpu(weights, step=at_last_failing)
    steps_left = 2
    with pytest.raises(EngineError, match="unspecified launch failure"):
        static([clip_of(noise(3), camera="before")])
    steps_left = 1
    clips = [clip_of(noise(1, seed=k), camera=str(k)) for k in range(4)]  # one step, in place of the first of three
    for theirs, ours in zip(Runner(weights)(clips), static(clips), strict=True):
        assert_same(theirs, ours, tolerance=1e-5)


class Recorder(TorchDispatchMode):
    """Every operation under it, and those between two devices."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()
        self.crossings: set[str] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        values = [v for v in tree_leaves((args, kwargs, result)) if isinstance(v, Tensor) and v.dim() > 0]
        self.operations.add(str(operation))
        if len({value.device.type for value in values}) > 1:
            self.crossings.add(str(operation))
        return result


class Caller(TorchFunctionMode):
    """Every function of torch that is called under it: tensors made of lists show nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[str] = set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called.add(getattr(function, "__name__", ""))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_step_holds_nothing_that_a_graph_cannot(dtype: torch.dtype) -> None:
    """On torch's device without data, where values cannot be looked at: the operations are those of a CUDA device."""
    with torch.device("meta"), torch.no_grad(), Recorder() as recorder:
        network = Network()
        network.lower(dtype)
        lane = Lane(network, 96, 160, device=torch.device("meta"), most=4)
        with Caller() as caller:
            advance(network, lane.slots, lane.pictures, lane.about, lane.out)
    assert "grid_sample" in caller.called
    assert not caller.called & {"tensor", "as_tensor", "from_numpy", "new_tensor", "item", "tolist", "numpy", "cpu"}
    assert "aten.grid_sampler_2d.default" in recorder.operations  # the tensor code of ``motion``, not the loops
    assert not recorder.crossings
    bad = ("lift_fresh", "_local_scalar_dense", "nonzero", "masked_select", "item", "equal.default", "unique")
    assert not [name for name in recorder.operations if any(f"aten.{what}" in name for what in bad)]


def test_two_clips_of_a_camera_are_refused() -> None:
    clip = clip_of(noise(2))
    with pytest.raises(ValueError, match="two clips of a in one call"):
        on_cpu(random_weights())([clip, clip])


@pytest.mark.parametrize(("dtype", "within"), [(torch.float16, 0.01), (torch.bfloat16, 0.02)])
def test_convolutions_in_half_precision_keep_the_maps_close(dtype: torch.dtype, within: float) -> None:
    weights = load_weights("base")
    pictures = moving(8)
    expected = Runner(weights)([clip_of(pictures)])[0]
    got = CudaRunner(weights, device=CPU, dtype=dtype)([clip_of(pictures)])[0]
    assert_close(expected, got, within=within)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a.luma, b.luma)


def test_auto_takes_the_cpu_and_says_why_when_the_device_cannot_do_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> CudaRunner:
        raise EngineError("device cuda:0 failed: CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(making_module, "why_no_cuda", lambda: "")
    monkeypatch.setattr(making_module, "CudaRunner", broken)
    monkeypatch.setattr(making_module, "find_device", lambda _: torch.device("cuda", 0))
    with structlog.testing.capture_logs() as said:
        assert make_runner(random_weights(), device="auto").device == CPU
    assert [entry["event"] for entry in said] == ["model.on_cpu"]
    assert "no kernel image" in said[0]["detail"]
    with pytest.raises(EngineError, match="no kernel image"):
        make_runner(random_weights(), device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert make_runner(random_weights()).device == CPU
    for name in ("cuda", "cuda:3"):
        with pytest.raises(EngineError, match=f"device {name} is not there: torch finds no CUDA device: .*; allowed: "):
            make_runner(random_weights(), device=name)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_maps_of_cuda_and_cpu_agree(dtype: torch.dtype) -> None:
    weights = load_weights("base")
    plain, cuda = Runner(weights, device="cpu"), CudaRunner(weights, device=torch.device("cuda", 0), dtype=dtype)
    pictures = [moving(16, seed=k) for k in range(5)]
    for first in range(0, 16, 4):
        clips = [clip_of(p[first : first + 4], camera=str(k), first=first) for k, p in enumerate(pictures)]
        for theirs, ours in zip(plain(clips), cuda(clips), strict=True):
            assert_close(theirs, ours, within=0.02 if dtype is torch.bfloat16 else 0.01)


@pytest.mark.gpu
@needs_cuda
def test_graphs_give_what_eager_calls_give() -> None:
    weights = random_weights()
    device = torch.device("cuda", 0)
    eager, graphs = (CudaRunner(weights, device=device, graphs=flag, dtype=torch.float32) for flag in (False, True))
    for _ in range(5):  # the third time each batch size is a graph
        for clips in calls():
            for theirs, ours in zip(eager(clips), graphs(clips), strict=True):
                assert_same(theirs, ours, tolerance=1e-5)
    assert all(lane._graphs for lane in graphs._lanes.values())
    assert not any(lane._graphs for lane in eager._lanes.values())


@pytest.mark.parametrize(
    "device", [CPU, pytest.param(torch.device("cuda", 0), marks=[pytest.mark.gpu, needs_cuda])], ids=str
)
def test_scores_in_half_precision_are_those_of_the_cpu(device: torch.device, footage: Path) -> None:
    weights = load_weights("base")
    expected, got = scores(footage, Runner(weights, device="cpu")), scores(footage, CudaRunner(weights, device=device))
    assert max(expected) > 1.0
    np.testing.assert_allclose(got, expected, rtol=1e-2, atol=1e-3)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("footage") / "scene.mp4"
    encode(Scene(seed=3, fps=10.0), path, seconds=24.0)
    return path


def scores(footage: Path, runner: AnyRunner) -> list[float]:
    camera = CameraConfig(url=str(footage), analysis_fps=10.0)
    scoring = ScoringSettings(warming_after_s=4.0, calibrated_after_s=10.0)
    return [score.score for score in Scan(footage, camera=camera, scoring=scoring, runner=runner)]


def assert_close(expected: list[CellMap], got: list[CellMap], *, within: float) -> None:
    """Relative to each map's largest value, but for the few blocks in which two candidates fit equally well."""
    for a, b in zip(expected, got, strict=True):
        for name in FIELDS:
            left, right = getattr(a, name), getattr(b, name)
            off = np.abs(left - right) / (np.abs(left).max() + 1e-3)
            assert (off > within).mean() <= 0.01, (
                f"{name}: {off.max():.4f} at worst, {(off > within).mean():.2%} beyond"
            )
