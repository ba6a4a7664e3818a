"""Key files: made, read, revoked; never overwritten, never open to others."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from vad.errors import KeyFileError
from vad.events.keys import (
    folder_state,
    is_readable_by_others,
    known_keys,
    load_client,
    load_pair,
    new_client,
    public_key,
    revoke,
    secret_key,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> dict[str, bool]:
    return {key.name: key.is_revoked for key in known_keys(folder / "clients")}


def test_secret_files_are_private_whatever_the_umask_says(tmp_path: Path) -> None:
    import os

    before = os.umask(0)
    try:
        made = new_client(tmp_path / "keys", "viewer")
    finally:
        os.umask(before)
    assert made.server_secret is not None
    assert [mode(made.secret), mode(made.server_secret), mode(tmp_path / "keys")] == [0o600, 0o600, 0o700]
    assert not is_readable_by_others(made.secret)
    made.secret.chmod(0o640)
    assert is_readable_by_others(made.secret)


def test_a_client_file_holds_all_that_a_client_needs(tmp_path: Path) -> None:
    made = new_client(tmp_path, "viewer")
    keys = load_client(made.secret)
    assert keys.server == load_pair(tmp_path / "server.key_secret").public
    assert keys.own.public == public_key(made.public)
    assert zmq.curve_public(keys.own.secret) == keys.own.public
    assert keys.own.secret.decode() not in repr(keys)


def test_the_server_keeps_its_key_when_more_clients_come(tmp_path: Path) -> None:
    first, second = new_client(tmp_path, "a"), new_client(tmp_path, "b")
    assert second.server_secret is None
    assert load_client(first.secret).server == load_client(second.secret).server


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made = new_client(tmp_path, "viewer")
    before = made.secret.read_text()
    with pytest.raises(KeyFileError, match="is there already"):
        new_client(tmp_path, "viewer")
    made.public.unlink()
    with pytest.raises(KeyFileError, match="is there already"):
        new_client(tmp_path, "viewer")
    assert made.secret.read_text() == before


@pytest.mark.parametrize("name", ["", "../viewer", "a/b", ".hidden", "server", "x" * 65, "a b", "é"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="not a client's name"):
        new_client(tmp_path, name)
    with pytest.raises(KeyFileError, match="not a client's name"):
        revoke(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_revoked_key_is_kept_and_its_name_is_free_again(tmp_path: Path) -> None:
    for _ in range(2):
        made = new_client(tmp_path, "viewer")
        assert revoke(tmp_path, "viewer").exists()
        made.secret.unlink()
    assert list(names(tmp_path).values()) == [True, True]
    with pytest.raises(KeyFileError, match=r"no client 'viewer'.*there is no key"):
        revoke(tmp_path, "viewer")


def test_keys_made_by_pyzmq_are_read_and_pyzmq_reads_ours(tmp_path: Path) -> None:
    made = new_client(tmp_path, "viewer")
    assert load_certificate(made.secret) == (load_pair(made.secret).public, load_pair(made.secret).secret)
    public, secret = create_certificates(tmp_path / "clients", "theirs")
    assert {"viewer", "theirs"} == set(names(tmp_path))
    assert load_pair(Path(secret)).public == public_key(Path(public))
    with pytest.raises(KeyFileError, match="does not name the server's public key"):
        load_client(Path(secret))
    assert load_client(Path(secret), server=tmp_path / "server.key").server == load_client(made.secret).server


def test_a_file_that_is_no_key_locks_nobody_out(tmp_path: Path) -> None:
    new_client(tmp_path, "viewer")
    clients = tmp_path / "clients"
    (clients / "empty.key").touch()
    (clients / "noise.key").write_bytes(bytes(range(256)) * 100)
    (clients / "short.key").write_text('curve\n    public-key = "abc"\n')
    (clients / "folder.key").mkdir()
    (clients / "gone.key").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == {"viewer": False}


def test_the_state_of_the_folder_tells_every_change(tmp_path: Path) -> None:
    clients = tmp_path / "clients"
    made = new_client(tmp_path, "viewer")
    states = [folder_state(clients)]
    new_client(tmp_path, "other")
    states.append(folder_state(clients))
    revoke(tmp_path, "other")
    states.append(folder_state(clients))
    made.public.write_text(made.public.read_text() + "\n")
    states.append(folder_state(clients))
    assert folder_state(clients) == states[-1]
    assert all(a != b for i, a in enumerate(states) for b in states[:i])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "names no public key"),
        (b"\xff" * 20_000, "20000 bytes long"),
        (b'public-key = "abc"\n', "a key that is none"),
        (b'public-key = "' + b"a" * 40 + b'"\n', "holds no secret key"),
    ],
)
def test_a_bad_secret_file_is_refused_with_a_reason(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.key_secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyFileError, match=message):
        load_pair(path)


def test_halves_of_different_keys_are_refused(tmp_path: Path) -> None:
    a, b = new_client(tmp_path, "a"), new_client(tmp_path, "b")
    text = a.secret.read_text().replace(load_pair(a.secret).public.decode(), load_pair(b.secret).public.decode())
    a.secret.write_text(text)
    with pytest.raises(KeyFileError, match="do not belong together"):
        load_pair(a.secret)


def test_refusals_do_not_repeat_a_secret() -> None:
    with pytest.raises(KeyFileError) as caught:
        secret_key("hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(KeyFileError, match="not a public key"):
        public_key("abc")
