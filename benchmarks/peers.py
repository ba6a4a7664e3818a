"""The most cameras that other programs hold on this machine, beside the engine: same server, same pictures, same run.

    python -m benchmarks.peers [--only vad motion ...] [--most 128] [--seconds 8] [--json OUT] [--png OUT]

Each watches 640x360 H.264 cameras at 25 fps over RTSP and looks at 8 frames a second of each. The engine is held to
what ``benchmarks.cameras`` asks (nothing lost, 95 % within a second), the others only to 97 % of the frames. What
they look for is not the same, see PEERS: none but the engine knows what is normal in its place.

Needs GStreamer's RTSP server (see tests/rtsp/control.py), and for the peers::

    apt-get install motion gstreamer1.0-opencv gstreamer1.0-libav
    python3 -m venv .venv-peers && .venv-peers/bin/pip install 'anomalib[cpu,openvino]==2.7.0' av

Who is missing is left out and named. Those that come as a container of their own or need a GPU (Frigate, Savant,
DeepStream) are not here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks import cameras_search
from benchmarks.cameras import MOUNTS, footage
from benchmarks.cameras_search import Held
from benchmarks.peers_loops import ANALYSIS_FPS
from tests.rtsp.control import PYTHON as SYSTEM_PYTHON
from tests.rtsp.control import RtspServer, why_unavailable

PEERS_PYTHON = ".venv-peers/bin/python"
ENGINE = [sys.executable, "-m", "benchmarks.cameras_engine"]
LOOPS = "benchmarks/peers_loops.py"


@dataclass(frozen=True, slots=True)
class Peer:
    """``command`` is given seconds and URLs; of each camera it counts ``fps`` frames a second if none is missing."""

    does: str
    command: Sequence[str]
    fps: float
    first: int  # cameras to try first
    is_there: Callable[[], bool] = lambda: True


def _imports(python: str, statement: str) -> bool:
    try:
        return subprocess.run([python, "-c", statement], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


_HAS_MOTIONCELLS = (
    "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); "
    "assert Gst.ElementFactory.find('motioncells') and Gst.ElementFactory.find('avdec_h264')"
)
_has_anomalib = partial(_imports, PEERS_PYTHON, "import anomalib, av, openvino")

PEERS = {
    "decode-only": Peer("decodes every frame, no more", [*ENGINE, "decode-only"], cameras_search.FPS, 64),
    "vad": Peer(
        "this engine: motion, places, learnt normality, events", [*ENGINE, str(ANALYSIS_FPS)], cameras_search.FPS, 64
    ),
    "motion": Peer(
        "motion 4.5 (C): pixels that changed",
        [sys.executable, LOOPS, "motion"],
        ANALYSIS_FPS,
        64,
        lambda: shutil.which("motion") is not None,
    ),
    "gstreamer": Peer(
        "GStreamer (C), avdec_h264 and motioncells: cells that moved",
        [SYSTEM_PYTHON, LOOPS, "gstreamer"],
        ANALYSIS_FPS,
        64,
        partial(_imports, SYSTEM_PYTHON, _HAS_MOTIONCELLS),
    ),
    "opencv": Peer(
        "OpenCV VideoCapture and MOG2, a thread a camera: foreground",
        [sys.executable, LOOPS, "opencv"],
        ANALYSIS_FPS,
        32,
        lambda: importlib.util.find_spec("cv2") is not None,
    ),
    "padim": Peer(
        "anomalib 2.7 PaDiM, ResNet-18, by OpenVINO: odd patches of a picture",
        [PEERS_PYTHON, LOOPS, "padim"],
        ANALYSIS_FPS,
        4,
        _has_anomalib,
    ),
    "efficient-ad": Peer(
        "anomalib 2.7 EfficientAD-S, by OpenVINO: odd patches of a picture",
        [PEERS_PYTHON, LOOPS, "efficient-ad"],
        ANALYSIS_FPS,
        1,
        _has_anomalib,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--most", type=int, default=256, help="cameras that are tried at most")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path, help="the cameras that each holds")
    options = parser.parse_args()
    if why_unavailable():
        sys.exit(why_unavailable())
    os.environ |= {"PYTHONWARNINGS": "ignore", "OPENCV_FFMPEG_LOGLEVEL": "-8"}  # of the peers' libraries
    made: dict[str, list[Held]] = {}
    with tempfile.TemporaryDirectory() as folder, RtspServer(footage(Path(folder))) as server:
        for name in options.only:
            if PEERS[name].is_there():
                made[name] = searched(name, server, most=options.most, seconds=options.seconds)
            else:
                print(f"{name}: left out, it is not installed; see --help")
    for line in table(made):
        print(line)
    if options.json:
        runs = {name: [asdict(one) for one in tries] for name, tries in made.items()}
        costs = {f"{name}_cpu_ms": best(tries).intervals_ms for name, tries in made.items()}
        options.json.write_text(json.dumps({"runs": runs, "repetitions": costs}, indent=2))
    if options.png:
        draw(made, options.png)


def searched(name: str, server: RtspServer, *, most: int, seconds: float) -> list[Held]:
    peer = PEERS[name]

    def once(cameras: int) -> Held:
        held = cameras_search.measure_command(
            peer.command, server, mounts=MOUNTS, cameras=cameras, seconds=seconds, fps=peer.fps
        )
        print(f"{name:<13}{held.line()}", flush=True)
        return held

    return cameras_search.search(once, first=min(peer.first, most), most=most)


def best(tries: Sequence[Held]) -> Held:
    """That of the most cameras that were held; without any, the best try with the fewest."""
    held = [one for one in tries if one.is_held]
    return max(held, key=lambda one: one.cameras) if held else max(tries, key=lambda one: (-one.cameras, one.arrived))


def _figures(one: Held, *, fps: float) -> str:
    number = one.cameras if one.is_held else f"0: {fps * one.arrived:.1f} of {fps:g} frames/s of {one.cameras}"
    return f"{number} | {one.cpu_ms:,.1f} | {one.rss_mib:,.0f} MiB"


def table(made: dict[str, list[Held]]) -> list[str]:
    """As it stands in benchmarks/README.md."""
    lines = [
        "| | what it does | cameras held | CPU, ms a second of one camera | memory |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, tries in made.items():
        lines.append(f"| {name} | {PEERS[name].does} | {_figures(best(tries), fps=PEERS[name].fps)} |")
    return lines


def draw(made: dict[str, list[Held]], path: Path) -> None:
    from matplotlib.figure import Figure

    held = {PEERS[name].does: cameras_search.most_held(tries) for name, tries in made.items()}
    figure = Figure(figsize=(9, 0.5 + 0.5 * len(held)), layout="constrained")
    axes = figure.add_subplot()
    axes.bar_label(axes.barh(list(held), list(held.values())), padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("cameras of 640x360 H.264 at 25 fps held")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
