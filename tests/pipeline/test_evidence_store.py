"""The folder of evidence: whole or not at all, never beyond its bound."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.disks import fill, small_disk
from vad.clock import ManualClock, SystemClock
from vad.pipeline.evidence_store import BLOCK_BYTES, CLIP, DETAILS, EXPECTED, SEEN, EvidenceStore, TooBig

MIB = 2**20


def open_store(folder: Path, *, keep_mib: int = 1, keep_days: float = 30.0, clock: object = None) -> EvidenceStore:
    store = EvidenceStore(folder, keep_days=keep_days, keep_mib=keep_mib, clock=clock or SystemClock())  # type: ignore[arg-type]
    store.open()
    return store


def made(size: int, seed: int = 0) -> dict[str, bytes]:
    """Files of one evidence, whose details tell what the others must be."""
    clip = random.Random(seed).randbytes(size)
    told = {"clip": hashlib.sha256(clip).hexdigest()}
    return {CLIP: clip, SEEN: b"seen", EXPECTED: b"expected", DETAILS: json.dumps(told).encode()}


def on_disk(folder: Path) -> int:
    """Bytes in whole blocks of all files, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES for path in files)


def check_whole(folder: Path) -> int:
    """Every evidence in the folder is a whole one; how many."""
    found = [path for path in folder.glob("*/*") if path.is_dir()]
    for path in found:
        assert {file.name for file in path.iterdir()} == {CLIP, SEEN, EXPECTED, DETAILS}, path
        told = json.loads((path / DETAILS).read_text())
        assert hashlib.sha256((path / CLIP).read_bytes()).hexdigest() == told["clip"]
    return len(found)


def test_what_was_put_is_found_again_also_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    assert store.get("one") is None
    store.put("cam", "one", made(5_000))
    used = store.used_bytes
    for again in (store, open_store(tmp_path / "evidence")):
        files = again.get("one")
        assert files is not None
        assert (files.camera, files.incident) == ("cam", "one")
        assert files.clip is not None
        assert files.clip.read_bytes() == made(5_000)[CLIP]
        assert files.seen is not None
        assert files.expected is not None
        assert again.used_bytes == used


def test_a_second_putting_takes_the_place_of_the_first(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    store.put("cam", "one", made(50_000))
    store.put("cam", "one", {DETAILS: b"{}"})
    files = store.get("one")
    assert files is not None
    assert files.clip is None
    assert store.used_bytes == 2 * BLOCK_BYTES
    assert on_disk(tmp_path / "evidence") == BLOCK_BYTES


def test_what_is_deleted_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    store.put("cam", "one", made(5_000))
    assert store.delete("one")
    assert not store.delete("one")
    assert store.get("one") is None
    assert store.used_bytes == 0
    assert list((tmp_path / "evidence").rglob("*")) == []


def test_what_somebody_else_deleted_is_not_given(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    store.put("cam", "one", made(5_000))
    for file in (tmp_path / "evidence" / "cam" / "one").iterdir():
        file.unlink()
    assert store.get("one") is None
    assert store.used_bytes == 0


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    clock = ManualClock(wall_s=time.time())
    store = open_store(tmp_path / "evidence", keep_days=1.0, clock=clock)
    store.put("cam", "one", made(5_000))
    assert store.retain() == 0
    clock.advance(86_500.0)
    store.put("cam", "two", made(5_000))  # its time is the disk's
    os.utime(tmp_path / "evidence" / "cam" / "two", (clock.wall_s(), clock.wall_s()))
    again = open_store(tmp_path / "evidence", keep_days=1.0, clock=clock)
    assert again.get("one") is None
    assert again.get("two") is not None


def test_one_that_exceeds_the_bound_alone_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    store.put("cam", "one", made(5_000))
    with pytest.raises(TooBig, match="allowed: 1048576"):
        store.put("cam", "two", made(2 * MIB))
    assert store.get("one") is not None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "x" * 200])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    store = open_store(tmp_path / "evidence")
    for camera, incident in ((name, "one"), ("cam", name)):
        with pytest.raises(ValueError, match="folder's name"):
            store.put(camera, incident, made(10))
        assert store.get(name) is None


def test_what_does_not_fit_beside_what_it_replaces_is_refused_in_words_and_that_stays(tmp_path: Path) -> None:
    store = open_store(tmp_path / "evidence")
    store.put("cam", "i0", made(600_000, seed=1))
    kept = store.used_bytes
    with pytest.raises(TooBig, match=r"beside 6[0-9]+ kept of it so far; allowed: 1048576"):
        store.put("cam", "i0", made(600_000, seed=2))
    assert store.used_bytes == kept
    assert store.get("i0") is not None


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "put", "delete", "reopen"]),
            st.integers(0, 12),
            st.integers(0, 600_000),
        ),
        max_size=40,
    )
)
def test_a_flood_never_exceeds_the_bound(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:
    folder = tmp_path_factory.mktemp("flood") / "evidence"
    store = open_store(folder)
    newest, kept_bytes = None, dict[str, int]()  # of the clip last put for each
    for what, which, size in steps:
        incident = f"i{which}"
        if what == "put":
            kept = kept_bytes.get(incident, 0)
            try:
                store.put(f"cam{which % 3}", incident, made(size, seed=which))
            except TooBig:  # what was kept stays until the new is whole: both must fit
                assert kept + size > MIB - 16 * BLOCK_BYTES
                continue
            kept_bytes[incident] = size
            newest = incident
        elif what == "delete":
            store.delete(incident)
            kept_bytes.pop(incident, None)
            newest = None if newest == incident else newest
        else:
            store = open_store(folder)
        assert on_disk(folder) <= store.used_bytes <= store.limit_bytes == MIB
        assert newest is None or store.get(newest) is not None
    check_whole(folder)


def test_a_full_disk_is_an_error_and_leaves_nothing_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=512) as disk:
        store = open_store(disk / "evidence")
        store.put("cam", "one", made(100_000))
        ballast = fill(disk)
        with pytest.raises(OSError, match="space"):
            store.put("cam", "two", made(100_000))
        with pytest.raises(OSError, match="space"):
            store.put("cam", "one", made(100_000, seed=1))
        assert check_whole(disk / "evidence") == 1
        assert (disk / "evidence" / "cam" / "one" / CLIP).read_bytes() == made(100_000)[CLIP]
        ballast.unlink()
        store.put("cam", "two", made(100_000))
        assert check_whole(disk / "evidence") == 2


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.pipeline.test_evidence_store import made, open_store
store = open_store(Path({folder!r}))
print("ready", flush=True)
for number in range(100_000):
    store.put("cam", f"i{{number % 7}}", made(1000 * (number * 7919 % 200), seed=number))
"""


def test_killed_between_any_two_writes_it_leaves_no_half(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    rounds = random.Random(5)
    code = WRITER.format(root=str(Path(__file__).parents[2]), folder=str(folder))
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rounds.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = open_store(folder)
        assert check_whole(folder) == len(store) > 0
        assert not [path for path in folder.rglob(".*") if path.is_dir()]
        assert on_disk(folder) <= store.used_bytes <= store.limit_bytes
