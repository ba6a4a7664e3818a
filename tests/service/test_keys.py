"""``vad keys`` and what ``vad check`` says of keys and bridges, as a user meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def vad(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vad", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def site(folder: Path, text: str) -> str:
    path = folder / "site.yaml"
    path.write_text("cameras: {a: {url: x.mp4}}\n" + text)
    return str(path)


def test_new_list_and_revoke(tmp_path: Path) -> None:
    made = vad("keys", "new", "viewer", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "--keys viewer.key_secret" in made.stdout
    secret = (tmp_path / "keys" / "viewer.key_secret").read_text().split('secret-key = "')[1].split('"')[0]
    assert oct(os.stat(tmp_path / "keys" / "viewer.key_secret").st_mode & 0o777) == "0o600"
    listed = vad("keys", "list", folder=tmp_path)
    assert [line.split()[0::2] for line in listed.stdout.splitlines()] == [["allowed", "viewer"]]
    assert vad("keys", "revoke", "viewer", folder=tmp_path).returncode == 0
    assert vad("keys", "list", folder=tmp_path).stdout.startswith("revoked")
    assert all(secret not in text for text in (made.stdout, made.stderr, listed.stdout))


def test_what_cannot_be_done_is_said_without_a_traceback(tmp_path: Path) -> None:
    vad("keys", "new", "viewer", folder=tmp_path)
    for arguments, message in (
        (("keys", "new", "viewer"), "is there already"),
        (("keys", "new", "../viewer"), "not a client's name"),
        (("keys", "revoke", "nobody"), "allowed: viewer"),
        (("keys", "list", "--dir", "nowhere"), "no such folder"),
    ):
        done = vad(*arguments, folder=tmp_path)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_check_says_who_may_listen(tmp_path: Path) -> None:
    vad("keys", "new", "viewer", folder=tmp_path)
    keys = "bus: {keys: {server_secret_file: keys/server.key_secret, clients_dir: keys/clients}, bind: 'tcp://*:5590'}"
    assert "bus: encrypted; who may connect: viewer" in vad("check", site(tmp_path, keys), folder=tmp_path).stdout
    (tmp_path / "keys" / "server.key_secret").chmod(0o644)
    assert "others can read keys/server.key_secret" in vad("check", site(tmp_path, keys), folder=tmp_path).stdout
    plain = "bus: {bind: 'tcp://*:5590', allow_plain_beyond_loopback: true}"
    assert "NOT encrypted: whoever reaches tcp://*:5590" in vad("check", site(tmp_path, plain), folder=tmp_path).stdout
    (tmp_path / "keys" / "server.key_secret").write_text("nonsense")
    assert vad("check", site(tmp_path, keys), folder=tmp_path).returncode == 1


@pytest.mark.parametrize(("url", "said"), [("mqtt://b", "mqtt, NOT encrypted"), ("mqtts://b", "mqtt\n")])
def test_check_says_where_else_events_go(tmp_path: Path, url: str, said: str) -> None:
    done = vad("check", site(tmp_path, f"bridges: [{{type: mqtt, name: home, url: '{url}'}}]"), folder=tmp_path)
    assert f"bridge home: {said}" in done.stdout


def test_check_says_what_a_bridge_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vad.config import load_config
    from vad.errors import BridgeError
    from vad.service.keys import site_lines

    monkeypatch.setattr("vad.events.bridges.find_spec", lambda name: None)
    path = site(tmp_path, "bridges: [{type: nats, url: 'nats://b'}]")
    with pytest.raises(BridgeError, match=r"pip install vad\[nats\]"):
        list(site_lines(load_config(path)))
