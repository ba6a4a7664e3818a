"""A consumer of events needs pyzmq and msgspec alone: an environment that has nothing else, and a real bus."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.events.factory import CAMERA, anomalies
from tests.events.running import delivering
from tests.pipeline.sites import wait_for

NEEDED = ("zmq", "msgspec")
REFUSED = ("numpy", "torch", "numba", "pydantic", "structlog", "yaml", "typer", "prometheus_client")

SCRIPT = """
import importlib, json, sys
sys.path.append(sys.argv[1])
for refused in sys.argv[4:]:
    try:
        importlib.import_module(refused)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{refused} is installed here: this environment proves nothing")

from vad.events import EventsLost, Subscriber, decode, json_schema, read_journal

json_schema()
with Subscriber(sys.argv[2], since=0, cursor_file=sys.argv[3], timeout_s=2.0) as events:
    got = []
    for event in events:
        got.append([event.sequence, event.camera, event.type])
        events.ack(event)
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"}
print(json.dumps({"got": got, "foreign": sorted(foreign)}))
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of packages that holds vad and what it is said to need, by links to what is installed here."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    for name in ("vad", *NEEDED):
        spec = find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        package = Path(spec.submodule_search_locations[0])
        (folder / name).symlink_to(package)
        for libraries in package.parent.glob("pyzmq.libs"):  # the wheel's own libzmq
            if name == "zmq":
                (folder / libraries.name).symlink_to(libraries)
    return folder


def test_events_are_received_with_pyzmq_and_msgspec_alone(tmp_path: Path, bare: Path) -> None:
    with delivering(tmp_path / "data") as delivery:
        delivery.put([*anomalies(2), CAMERA])
        wait_for(lambda: delivery.journal.last_sequence == 3)
        arguments = [str(bare), delivery.bus_address, str(tmp_path / "cursor"), *REFUSED]
        command = [sys.executable, "-S", "-I", "-c", SCRIPT, *arguments]  # no site-packages, no environment, no cwd
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["got"] == [
        [1, "cam1", "io.vad.anomaly.opened"],
        [2, "cam1", "io.vad.anomaly.opened"],
        [3, "cam1", "io.vad.camera.backoff"],
    ]
    assert {name for name in told["foreign"] if "cython" not in name} == {"vad", *NEEDED}
    assert json.loads((tmp_path / "cursor").read_text())["sequence"] == 3


def test_the_environment_lacks_what_it_is_said_to_lack(bare: Path) -> None:
    code = "import sys; sys.path.append(sys.argv[1]); import vad.config"
    command = [sys.executable, "-S", "-I", "-c", code, str(bare)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "No module named 'pydantic'" in done.stderr
