"""What a CUDA GPU gives: the model's frames/s, its agreement with the CPU, decoders, and the whole engine's streams.

    python -m benchmarks.gpu [--only tests model agreement decode engine] [--minutes 9] [--json OUT]

Streams are 1080p30 H.264 and HEVC files made on the spot, paced as cameras are; the largest number that keeps up (every
frame received, 8 a second scored, none lost, p95 under 1 s) is found by bisection. Each part runs in a process of its
own, with a time limit: one that fails or hangs says so and leaves the others their turn and a device in order. What a
part finds is printed and written at once. Without a CUDA device it says so and ends; ``--device cpu`` tries the command
itself out, its figures are of no use.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import torch

from benchmarks.gpu_engine import decode_rate, make_film, most_streams
from benchmarks.gpu_model import agreement, model_figures
from vad.model.device import why_no_cuda

GPU_TESTS = (
    "tests/model",
    "tests/video/test_hardware.py",
    "tests/pipeline/test_decoders.py",
    "tests/pipeline/test_exposition.py",
)
MOST_S = {"tests": 150.0, "model": 150.0, "agreement": 60.0, "decode": 150.0, "engine": 3600.0}
"""That a part may take, of ``--minutes`` for all."""
WIND_UP_S = 15.0
"""Before its limit the last part is told to begin nothing new."""
CODECS = ("libx264", "libx265")
DECODERS = ("cuda", "cpu")


def main() -> None:
    options = parsed()
    if options.device != "cpu" and (why := why_no_cuda()):
        sys.exit(f"{why}; nothing measured. Everything here needs one; --device cpu only tries the command out.")
    if options.part:  # the process of one part
        found = parts_of(options, options.folder)[options.part]()
        options.json.write_text(json.dumps(found))
        return
    report: dict[str, object] = {"machine": machine(options.device)}
    print(json.dumps(report["machine"], indent=2), flush=True)
    until_s = time.monotonic() + 60.0 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            print(f"{name}:", flush=True)
            began_s = time.monotonic()
            report[name] = in_its_own_process(name, folder, most_s=min(MOST_S[name], until_s - began_s))
            print(f"  {name} took {time.monotonic() - began_s:.0f} s: {json.dumps(report[name])[:2000]}", flush=True)
            if options.json:
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MOST_S, default=list(MOST_S))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--compile", action="store_true", help="also times torch.compile, which takes minutes")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of each figure")
    parser.add_argument("--engine-seconds", type=float, default=10.0, help="measured time of each number of streams")
    parser.add_argument("--start", type=int, default=64, help="streams to begin the search with")
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=CODECS)
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=DECODERS)
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=MOST_S, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_its_own_process(name: str, folder: str, *, most_s: float) -> object:
    """What a part finds, or why it found nothing. Its options are this process's own."""
    found = Path(folder) / f"{name}.json"
    minutes = max(0.0, most_s - WIND_UP_S) / 60.0
    own = ["--part", name, "--folder", folder, "--json", str(found), "--minutes", str(minutes)]
    try:
        done = subprocess.run(
            [sys.executable, "-u", "-m", "benchmarks.gpu", *sys.argv[1:], *own], timeout=max(1.0, most_s)
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no end within {most_s:.0f} s; what it found before stands above"}
    if done.returncode != 0 or not found.exists():
        return {"failed": f"ended with {done.returncode}"}
    return json.loads(found.read_text())


def parts_of(options: argparse.Namespace, folder: Path) -> dict[str, Callable[[], object]]:
    device, until_s = torch.device(options.device), time.monotonic() + 60.0 * options.minutes
    return {
        "tests": run_tests,
        "model": lambda: model_figures(
            device, batches=tuple(options.batches), seconds=options.seconds, compiled=options.compile
        ),
        "agreement": lambda: agreement(device, seconds=24.0),
        "decode": lambda: decoders(options, folder),
        "engine": lambda: engines(options, folder, until_s=until_s),
    }


def machine(device: str) -> dict[str, object]:
    """What the figures are of."""
    cuda = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "capability": torch.cuda.get_device_capability(device) if cuda else None,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "av": av.__version__,
        "ffmpeg": av.ffmpeg_version_info,
        "nvdec": _nvdec() if cuda else None,
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
    }


def _nvdec() -> str:
    """Whether the driver's decoding library is there: FFmpeg loads it at a stream's first packet."""
    try:
        ctypes.CDLL("libnvcuvid.so.1")
    except OSError as exc:
        return f"missing: {exc}"
    return "there"


def run_tests() -> dict[str, object]:
    """The tests marked ``gpu``, as the repository has them."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-ra", "-p", "no:cacheprovider", *GPU_TESTS]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
    return {"exit_code": done.returncode, "last_line": (done.stdout.strip().splitlines() or [""])[-1]}


def decoders(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Unpaced: what the decoders themselves hold."""
    figures: dict[str, object] = {}
    for codec in options.codecs:
        film = make_film(folder, codec)
        for decoder in options.decoders:
            for streams in (1, 16, 64):
                name = f"{codec} {decoder} {streams}"
                figures[name] = decode_rate(
                    film, decoder=decoder, device=options.device, streams=streams, seconds=options.seconds
                )
                print(f"  {name}: {figures[name]}", flush=True)
    return figures


def engines(options: argparse.Namespace, folder: Path, *, until_s: float) -> dict[str, object]:
    """Paced: how many streams the whole engine holds. The time that is left is shared among the searches to come."""
    figures: dict[str, object] = {}
    searches = [(codec, decoder) for codec in options.codecs for decoder in options.decoders]
    for done, (codec, decoder) in enumerate(searches):
        film = make_film(folder, codec)
        share_s = (until_s - time.monotonic()) / (len(searches) - done)
        figures[f"{codec} {decoder}"] = most_streams(
            film,
            decoder=decoder,
            device=options.device,
            start=options.start,
            seconds=options.engine_seconds,
            until_s=time.monotonic() + share_s,
        )
    return figures


if __name__ == "__main__":
    main()
