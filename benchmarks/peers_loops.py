"""What ``benchmarks.peers`` sets beside the engine, each in a process of its own, with the Python that has its library.

    PYTHON benchmarks/peers_loops.py motion|gstreamer|opencv|padim|efficient-ad SECONDS URL...

Prints a JSON line every few seconds: CPU seconds, memory, and how many frames were analysed, of 8 a second of each
camera. Imports nothing of vad, and of each library only when it is its turn.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CAMERA_FPS, ANALYSIS_FPS = 25, 8
WIDTH, HEIGHT = 640, 360
PICTURE = (256, 256)  # rows and columns of what anomalib looks at
SAMPLE_S = 2.0
SATURATED = 0.97
"""Of the machine's CPU time, above which a program that does not count its frames is taken to leave some out."""

TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    LOOPS[sys.argv[1]](float(sys.argv[2]), sys.argv[3:])


class Analysed:
    """Frames, counted by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, frames: int = 1) -> None:
        with self._lock:
            self.count += frames


def is_due(number: int) -> bool:
    """Whether the camera's frame of that number is one of the 8 of 25."""
    return number * ANALYSIS_FPS // CAMERA_FPS != (number - 1) * ANALYSIS_FPS // CAMERA_FPS


def tell(seconds: float, analysed: Callable[[], float], *, pid: int | str = "self") -> None:
    """Print samples of a process until the time is over."""
    started_s = time.monotonic()
    while (at_s := time.monotonic() - started_s) < seconds:
        time.sleep(min(SAMPLE_S, max(0.1, seconds - at_s)))
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pss = next(
            line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
        )
        sample = {"cpu_s": (int(fields[11]) + int(fields[12])) / TICKS, "rss_mib": int(pss.split()[1]) / 1024}
        sample |= {"at_s": time.monotonic() - started_s, "received": analysed(), "scored": 0, "lost": 0}
        print(json.dumps({**sample, "p50_s": 0.0, "p95_s": 0.0}), flush=True)


def motion(seconds: float, urls: list[str]) -> None:
    """The daemon of that name, set up to detect and to write nothing. It does not say how many frames it looked at:
    all that are due, as long as the machine has time left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = {"daemon": "off", "log_level": 4, "log_file": folder / "log", "target_dir": folder}
        common |= {"picture_output": "off", "movie_output": "off", "webcontrol_port": 0, "stream_port": 0}
        lines = [f"{key} {value}" for key, value in common.items()]
        for number, url in enumerate(urls, 1):
            camera = {"camera_id": number, "netcam_url": url, "netcam_params": "rtsp_transport=tcp"}
            camera |= {"width": WIDTH, "height": HEIGHT, "framerate": ANALYSIS_FPS}
            file = folder / f"{number}.conf"
            file.write_text("\n".join(f"{key} {value}" for key, value in camera.items()))
            lines.append(f"camera {file}")
        (folder / "motion.conf").write_text("\n".join(lines))
        process = subprocess.Popen(["motion", "-n", "-c", folder / "motion.conf"], stderr=subprocess.DEVNULL)
        try:
            tell(seconds, _IfIdle(len(urls)), pid=process.pid)
        finally:
            process.terminate()
            process.wait()


class _IfIdle:
    """All frames that were due, but for the time in which the machine was saturated."""

    def __init__(self, cameras: int) -> None:
        self._cameras = cameras
        self._count = 0.0
        self._at_s, self._busy_s = time.monotonic(), _machine_busy_s()

    def __call__(self) -> float:
        at_s, busy_s = time.monotonic(), _machine_busy_s()
        share = (busy_s - self._busy_s) / ((at_s - self._at_s) * (os.cpu_count() or 1))
        if share < SATURATED:
            self._count += (at_s - self._at_s) * ANALYSIS_FPS * self._cameras
        self._at_s, self._busy_s = at_s, busy_s
        return self._count


def _machine_busy_s() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS


def gstreamer(seconds: float, urls: list[str]) -> None:
    """A pipeline of stock elements a camera, ending in OpenCV's detector of moving cells."""
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst

    Gst.init(None)
    analysed = Analysed()
    pipelines = []
    for url in urls:
        pipeline = Gst.parse_launch(
            f"rtspsrc location={url} protocols=tcp latency=200 ! rtph264depay ! h264parse ! avdec_h264 max-threads=1 ! "
            f"videorate drop-only=true ! video/x-raw,framerate={ANALYSIS_FPS}/1 ! videoconvert ! "
            "motioncells display=false ! fakesink name=end sync=false signal-handoffs=true"
        )
        pipeline.get_by_name("end").connect("handoff", lambda *_: analysed.add())
        pipeline.set_state(Gst.State.PLAYING)
        pipelines.append(pipeline)
    tell(seconds, lambda: analysed.count)
    os._exit(0)  # what it frees is of no interest


def opencv(seconds: float, urls: list[str]) -> None:
    """A thread a camera: read, and subtract the background (MOG2) of every frame that is due; others are not even
    converted to BGR. It opens one camera after the other, which is not measured."""
    import cv2

    analysed = Analysed()

    def watch(capture: Any) -> None:
        subtractor = cv2.createBackgroundSubtractorMOG2()
        number = 0
        while capture.grab():
            number += 1
            if is_due(number):
                _, picture = capture.retrieve()
                subtractor.apply(picture)
                analysed.add()

    captures: list[Any] = []

    def open_and_watch(url: str) -> None:
        captures.append(cv2.VideoCapture(url))
        watch(captures[-1])

    for url in urls:
        threading.Thread(target=open_and_watch, args=(url,), daemon=True).start()
    while len(captures) < len(urls):
        time.sleep(0.1)
    tell(seconds, lambda: analysed.count)
    os._exit(0)  # its threads wait for packets


def padim(seconds: float, urls: list[str]) -> None:
    """anomalib's PaDiM with a ResNet-18. Weights and what it learns from are random, which does not change its cost."""
    import torch
    from anomalib.models.image.padim.torch_model import PadimModel

    model = PadimModel(backbone="resnet18", layers=["layer1", "layer2", "layer3"], pre_trained=False)
    model.train()
    with torch.no_grad():
        for _ in range(16):
            model(torch.rand(8, 3, *PICTURE))
        model.fit()
    _judge_pictures(model, seconds, urls)


def efficient_ad(seconds: float, urls: list[str]) -> None:
    """anomalib's EfficientAD in its small size, with random weights."""
    from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel

    _judge_pictures(EfficientAdModel(teacher_out_channels=384), seconds, urls)


def _judge_pictures(model: Any, seconds: float, urls: list[str]) -> None:
    """Decoded by a thread a camera, as the engine does. One network judges the pictures of all cameras, by OpenVINO,
    which takes a third of what PyTorch takes; more than one at a time gained neither of them anything."""
    import av
    import numpy as np

    analysed = Analysed()
    judge_picture = _compiled(model)
    waiting: queue.Queue[Any] = queue.Queue(maxsize=2 * len(urls))  # when it is full the decoders wait

    def watch(url: str) -> None:
        with av.open(url, options={"rtsp_transport": "tcp"}) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
            for number, frame in enumerate(container.decode(stream), 1):
                if is_due(number):
                    waiting.put(frame.to_ndarray(height=PICTURE[0], width=PICTURE[1], format="rgb24"))

    def judge() -> None:
        while True:
            picture = waiting.get().transpose(2, 0, 1)[None]  # (1, 3, H, W)
            judge_picture(picture.astype(np.float32) / 255.0)
            analysed.add()

    for url in urls:
        threading.Thread(target=watch, args=(url,), daemon=True).start()
    threading.Thread(target=judge, daemon=True).start()
    tell(seconds, lambda: analysed.count)
    os._exit(0)  # its threads wait for packets


def _compiled(model: Any) -> Callable[[Any], Any]:
    import openvino
    import torch

    class MapOnly(torch.nn.Module):
        """An OpenVINO model gives tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval()

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.model(pictures).anomaly_map

    with torch.no_grad():
        return openvino.compile_model(
            openvino.convert_model(MapOnly(), example_input=torch.rand(1, 3, *PICTURE)), "CPU"
        )


LOOPS: dict[str, Callable[[float, list[str]], None]] = {
    "motion": motion,
    "gstreamer": gstreamer,
    "opencv": opencv,
    "padim": padim,
    "efficient-ad": efficient_ad,
}


if __name__ == "__main__":
    main()
