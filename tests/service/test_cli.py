"""The command as a user meets it: a process of its own, its output, its exit status, its signals."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml
import zmq

from tests.pipeline.sites import wait_for
from tests.test_config import FAULT_PATHS, TEN_FAULTS
from tests.video.clips import VideoFile
from vad.events import Subscriber, read_journal
from vad.types import EventType

VAD = [sys.executable, "-m", "vad"]


def vad(*arguments: str, timeout_s: float = 120.0, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VAD, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False, **kwargs)


def free_port() -> int:
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return probe.bind_to_random_port("tcp://127.0.0.1")


def site_file(folder: Path, footage: Path, **parts: Any) -> Path:
    site = {
        "cameras": {"cam": {"url": str(footage), "loop": True, "false_alarms_per_day": 1440}},
        "scoring": {"warming_after_s": 2.0, "calibrated_after_s": 4.0, "open_after_s": 0.1, "close_after_s": 300.0},
        "bus": {"bind": f"tcp://127.0.0.1:{free_port()}"},
        "http": {"bind": f"127.0.0.1:{free_port()}"},
        "storage": {"dir": str(folder / "data")},
        **parts,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site))
    return path


def start_run(config: Path, **kwargs: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*VAD, "run", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


def test_sigterm_under_load_closes_incidents_which_reach_the_subscriber(tmp_path: Path, footage: Path) -> None:
    config = site_file(tmp_path, footage)
    site = yaml.safe_load(config.read_text())
    process = start_run(config)
    messages = []
    with Subscriber(site["bus"]["bind"]) as subscriber:
        while not any(m.type == EventType.OPENED for m in messages):
            message = subscriber.receive(60.0)
            assert message is not None, "no incident opened"
            messages.append(message)
        process.send_signal(signal.SIGTERM)
        while (message := subscriber.receive(5.0)) is not None:
            messages.append(message)
    _, log = process.communicate(timeout=30.0)
    assert process.returncode == 0, log
    closed = {m.data.incident: m.data.close_reason for m in messages if m.type == EventType.CLOSED}
    assert {m.data.incident for m in messages if m.type == EventType.OPENED} <= set(closed)
    assert "shutdown" in closed.values()
    sequences = [m.sequence for m in messages]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert sequences[-1] == list(read_journal(tmp_path / "data" / "events.sqlite"))[-1].sequence


def test_a_second_signal_exits_at_once(tmp_path: Path, footage: Path) -> None:
    config = site_file(tmp_path, footage)
    process = start_run(config)
    address = yaml.safe_load(config.read_text())["http"]["bind"]
    wait_for(lambda: is_ready(address), what="readiness")
    process.send_signal(signal.SIGSTOP)  # both signals are pending when it goes on
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=10.0) in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_run_ends_by_itself_when_every_source_has_ended(tmp_path: Path, footage: Path) -> None:
    config = site_file(tmp_path, footage, cameras={"cam": {"url": str(footage), "realtime": False}})
    done = vad("run", str(config))
    assert done.returncode == 0, done.stderr
    assert "150 frames received = 96 scored + 54 dropped (0 lost) + 0 in flight" in done.stderr


def test_a_password_on_the_command_line_does_not_show_in_the_process_list(tmp_path: Path) -> None:
    url = f"rtsp://viewer:hunter2@127.0.0.1:{free_port()}/x"
    process = subprocess.Popen([*VAD, "run", "--source", url], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        title = Path(f"/proc/{process.pid}/cmdline")
        wait_for(lambda: b"rtsp://127.0.0.1" in title.read_bytes(), timeout_s=20.0, what="the redacted title")
        assert b"hunter2" not in title.read_bytes()
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30.0)
    assert "hunter2" not in log


def test_check_tells_what_was_changed_at_run_time(tmp_path: Path, footage: Path) -> None:
    config = site_file(tmp_path, footage)
    (tmp_path / "data").mkdir()
    overlay = tmp_path / "data" / "cameras.json"
    overlay.write_text('{"cameras": {"yard": {"url": "rtsp://me:hush@host/1"}}, "disarmed": ["cam"]}')
    done = vad("check", str(config))
    assert done.returncode == 0, done.stderr
    assert f"{overlay}, changed at run time: added: yard" in done.stdout
    assert f"{overlay}, changed at run time: disarmed: cam" in done.stdout
    assert "hush" not in done.stdout
    overlay.write_text('{"cameras": {"yard"')
    broken = vad("check", str(config))
    assert (broken.returncode, broken.stdout) == (2, "")
    assert f"{overlay}: 1 fault" in broken.stderr


def test_check_says_fine_of_nothing_that_run_would_refuse(tmp_path: Path, footage: Path) -> None:
    tokens = tmp_path / "tokens.jsonl"
    tokens.write_text("damaged\n")
    tokens.chmod(0o600)
    config = site_file(tmp_path, footage, http={"tokens": str(tokens)})
    done = vad("check", str(config))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tokens) in done.stderr


def test_ten_faults_are_all_printed(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(TEN_FAULTS)
    for command in ("check", "run"):
        done = vad(command, str(path))
        assert done.returncode == 2
        for fault in FAULT_PATHS:
            assert f"  {fault}: " in done.stderr
        assert "Traceback" not in done.stderr


def test_a_url_given_for_a_site_file_is_refused_without_its_password() -> None:
    for command in ("check", "run"):
        done = vad(command, "rtsp://viewer:hunter2@camera/stream")
        assert done.returncode == 2
        assert "--source" in done.stderr
        assert "hunter2" not in done.stderr


def test_a_taken_bus_port_is_said(tmp_path: Path, footage: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        done = vad("run", str(site_file(tmp_path, footage, bus={"bind": f"tcp://127.0.0.1:{port}"})))
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_http_port_is_said(tmp_path: Path, footage: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        done = vad("run", str(site_file(tmp_path, footage, http={"bind": f"127.0.0.1:{port}"})))
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_weights_are_said(tmp_path: Path, footage: Path) -> None:
    done = vad("run", str(site_file(tmp_path, footage, model={"weights": "/none.safetensors"})))
    assert done.returncode == 1
    assert "/none.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_scan_prints_json_and_writes_a_report(tmp_path: Path, footage: Path) -> None:
    report = tmp_path / "report.html"
    done = vad("scan", str(footage), str(tmp_path / "none.mp4"), "--json", "--report", str(report))
    good, bad = json.loads(done.stdout)
    assert done.returncode == 1  # one of them could not be read
    assert (good["error"], good["frames"]["received"], good["frames"]["in_flight"]) == (None, 150, 0)
    assert bad["error"].startswith("not_found")
    page = report.read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_scan_refuses_what_cannot_be_done_before_it_begins(tmp_path: Path, footage: Path) -> None:
    for arguments, message in (
        ((str(footage), "ftp://viewer:hunter2@host/x"), "scheme 'ftp'"),
        ((str(footage), "--report", str(tmp_path / "none" / "report.html")), "no such folder"),
        ((str(footage), "--analysis-fps", "nan"), "got nan"),
    ):
        done = vad("scan", *arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "hunter2" not in done.stderr
        assert done.stdout == ""


def test_scan_of_a_name_that_is_too_long_says_so() -> None:
    done = vad("scan", "a" * 300)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "name too long" in done.stdout


def test_scan_of_something_that_is_no_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    done = vad("scan", str(path))
    assert done.returncode == 1
    assert str(path) in done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_events_prints_what_the_journal_holds_and_survives_a_closed_pipe(tmp_path: Path, footage: Path) -> None:
    config = site_file(tmp_path, footage, cameras={"cam": {"url": str(footage), "realtime": False}})
    assert vad("run", str(config)).returncode == 0
    events = shlex.join([*VAD, "events", "--since", "0", "--json", "--storage", str(tmp_path / "data")])
    command = f"{events} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60.0, check=False)
    assert json.loads(done.stdout)["sequence"] == 1
    assert "Traceback" not in done.stderr


def test_events_ends_when_its_reader_does_although_nothing_more_is_raised(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*VAD, "events", "--address", f"tcp://127.0.0.1:{free_port()}"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, log = process.communicate(timeout=30.0)
    assert process.returncode == 0
    assert b"Traceback" not in log


def test_events_without_a_journal_says_what_is_missing(tmp_path: Path) -> None:
    done = vad("events", "--since", "0", "--storage", str(tmp_path))
    assert done.returncode == 1
    assert "journal" in done.stderr


def test_schemas_are_printed() -> None:
    assert "cameras" in json.loads(vad("schema", "config").stdout)["properties"]
    assert json.loads(vad("schema", "event").stdout)["$defs"]
    assert vad("schema", "nonsense").returncode == 2


def test_probe_says_what_a_file_is_and_why_another_is_not(tmp_path: Path, video_file: VideoFile) -> None:
    path = video_file("clip.mp4")
    good, bad = vad("probe", str(path)), vad("probe", str(tmp_path / "none.mp4"))
    assert good.returncode == 0, good.stderr
    assert "h264" in good.stdout
    assert "640" in good.stdout
    assert "width       160 px: no people were seen to walk by" in good.stdout
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr


def test_run_without_or_with_both_kinds_of_source_is_refused(tmp_path: Path) -> None:
    assert vad("run").returncode == 2
    assert vad("run", "site.yaml", "--source", "a.mp4").returncode == 2


def test_help_is_quick_because_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; sys.argv = ['vad', '--help']\n"
        "from vad.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
    )
    check = "print(sorted({'torch', 'numba', 'av', 'cv2', 'uvicorn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
