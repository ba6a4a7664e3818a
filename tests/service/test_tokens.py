"""``vad tokens`` as a user meets it, and the file that it keeps."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vad.errors import TokenFileError
from vad.service.tokens import HASHER, TOKEN, Role, file_state, load_tokens, new_token, revoke_token


def vad(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vad", "tokens", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.jsonl"


def test_new_list_and_revoke(tmp_path: Path) -> None:
    made = vad("new", "night", "--role", "operator", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.splitlines()[0]
    assert TOKEN.fullmatch(secret)
    assert secret not in (tmp_path / "tokens.jsonl").read_text()
    assert vad("list", folder=tmp_path).stdout.split()[:4:3] == ["good", "night"]
    assert vad("revoke", "night", folder=tmp_path).returncode == 0
    assert vad("list", folder=tmp_path).stdout.split()[:2] == ["revoked", "operator"]


def test_what_cannot_be_done_is_said_without_a_traceback(tmp_path: Path) -> None:
    vad("new", "night", folder=tmp_path)
    for arguments, message in (
        (("new", "night"), "has a token already"),
        (("new", "../night"), "is not a name"),
        (("new", "day", "--role", "king"), "allowed: viewer, operator, admin"),
        (("revoke", "nobody"), "allowed: night"),
        (("list", "--file", "nowhere.jsonl"), "vad tokens new NAME"),
    ):
        done = vad(*arguments, folder=tmp_path)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_check_says_who_may_use_the_api(tmp_path: Path) -> None:
    def check(http: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "site.yaml").write_text(f"cameras: {{a: {{url: x.mp4}}}}\nhttp: {http}\n")
        command = [sys.executable, "-m", "vad", "check", "site.yaml"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)

    vad("new", "night", folder=tmp_path)
    assert "http: who may use API and console: night" in check("{tokens: tokens.jsonl}").stdout
    assert "API and console are shut" in check("{bind: '0.0.0.0:8590'}").stdout
    assert "http:" not in check("{}").stdout
    missing = check("{tokens: none.jsonl}")
    assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)


def test_the_file_is_private_whatever_the_umask_says_and_refused_when_it_is_not(path: Path) -> None:
    before = os.umask(0)
    try:
        new_token(path, "night", "viewer")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(TokenFileError, match="chmod 600"):
            load_tokens(path)


def test_a_token_proves_itself_by_its_hash_and_is_not_in_its_repr(path: Path) -> None:
    token, text = new_token(path, "night", "admin")
    match = TOKEN.fullmatch(text)
    assert match
    assert match[1] == token.id
    assert load_tokens(path) == {token.id: token}
    assert HASHER.verify(token.hash, match[2])
    assert token.role is Role.ADMIN
    assert token.hash not in repr(token)


def test_a_revoked_name_may_be_given_again(path: Path) -> None:
    first, _ = new_token(path, "night", "viewer")
    before = file_state(path)
    assert revoke_token(path, first.id).revoked is not None
    assert file_state(path) != before
    second, _ = new_token(path, "night", "viewer")
    tokens = load_tokens(path)
    assert (tokens[first.id].revoked is None, tokens[second.id].revoked is None) == (False, True)


def test_tokens_made_at_the_same_time_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: new_token(path, f"n{number}", "viewer"), range(8)))
    assert len(load_tokens(path)) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "king"}, "allowed: viewer, operator, admin"),
        ({"hash": "plain"}, "none of argon2id"),
        ({"surprise": 1}, "line 1 is not a token"),
        ({"id": 5}, "line 1 is not a token"),
    ],
)
def test_a_line_that_is_no_token_is_named(path: Path, change: dict[str, object], message: str) -> None:
    new_token(path, "night", "viewer")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TokenFileError, match=message):
        load_tokens(path)
