"""CURVE key files: who may listen to the bus, and with what.

A folder of keys, as ``vad keys new`` makes it::

    keys/server.key_secret       stays with the engine            0600
    keys/server.key              its public half, for clients that keep their own keys
    keys/viewer.key_secret       for the client viewer: its pair and the server's public key   0600
    keys/clients/viewer.key      its public half: whoever has a file here may connect
    keys/clients/revoked/...     those that may not any more

The files are ZeroMQ certificates (ZPL): ``zmq.auth.load_certificate`` and CZMQ read them too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import zmq
from zmq.auth import load_certificate

from vad.errors import KeyFileError

if TYPE_CHECKING:
    from vad.events.sockets import Secure, Socket

SERVER = "server"
CLIENTS_DIR, REVOKED_DIR = "clients", "revoked"
PUBLIC_SUFFIX, SECRET_SUFFIX = ".key", ".key_secret"
KEY_CHARS = 40  # 32 bytes in Z85
MAX_FILE_BYTES = 16_384

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SERVER_LINE = re.compile(r'^\s*server-key\s*=\s*"?([^"\s]+)"?\s*$', re.MULTILINE)
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves of one key in Z85, 40 characters each."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, secret=***)"


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """All that a client needs to connect: its own pair, and whom to trust."""

    own: KeyPair
    server: bytes


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key in the clients' folder."""

    name: str
    public: bytes
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class NewClient:
    """The files that ``new_client`` made; ``server_secret`` only where the server had no key before."""

    secret: Path
    public: Path
    server_secret: Path | None


def new_client(folder: Path, name: str) -> NewClient:
    """Make a key for the client ``name``, and the server's where there is none.

    The client may connect as soon as this returns, also to an engine that runs. Raises KeyFileError for a name that
    cannot be one or is taken; no file is ever overwritten.
    """
    _check_name(name)
    secret, public = folder / f"{name}{SECRET_SUFFIX}", folder / CLIENTS_DIR / f"{name}{PUBLIC_SUFFIX}"
    for taken in (secret, public):
        if taken.exists():
            raise KeyFileError(f"{taken} is there already; allowed: another name, or revoke {name} and move it away")
    server_secret = folder / f"{SERVER}{SECRET_SUFFIX}"
    is_new = not server_secret.exists()
    if is_new:
        _write_pair(server_secret, folder / f"{SERVER}{PUBLIC_SUFFIX}", name=SERVER, server=None)
    _write_pair(secret, public, name=name, server=load_pair(server_secret).public)
    return NewClient(secret, public, server_secret if is_new else None)


def revoke(folder: Path, name: str) -> Path:
    """Move a client's public key among the revoked; where to. Raises KeyFileError for a name that has no key."""
    _check_name(name)
    public = folder / CLIENTS_DIR / f"{name}{PUBLIC_SUFFIX}"
    revoked = public.parent / REVOKED_DIR
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = revoked / f"{name}-{stamp}{PUBLIC_SUFFIX}"  # the same name may be revoked again
    try:
        revoked.mkdir(exist_ok=True)
        public.rename(target)
    except FileNotFoundError:
        names = ", ".join(sorted(key.name for key in known_keys(folder / CLIENTS_DIR) if not key.is_revoked))
        raise KeyFileError(
            f"no client {name!r} in {public.parent}; allowed: {names or 'none, there is no key'}"
        ) from None
    except OSError as exc:
        raise KeyFileError(f"{public} cannot be moved: {exc.strerror}") from None
    return target


def known_keys(clients_dir: Path) -> Iterator[KnownKey]:
    """Every public key in the folder and among the revoked. Raises KeyFileError where the folder cannot be read.

    A file that is no key is skipped: it lets nobody in, and must not lock the others out.
    """
    for folder, is_revoked in ((clients_dir, False), (clients_dir / REVOKED_DIR, True)):
        for path in _key_files(folder, may_be_missing=is_revoked):
            try:
                public, _ = _read(path)
            except KeyFileError:
                continue
            yield KnownKey(path.name.removesuffix(PUBLIC_SUFFIX), public, is_revoked)


def folder_state(clients_dir: Path) -> object:
    """Something that differs once a file in the folder, or among the revoked, has come, gone or changed."""
    folders = (clients_dir, clients_dir / REVOKED_DIR)
    paths = [path for folder in folders for path in _key_files(folder, may_be_missing=folder is not clients_dir)]
    try:
        return [(path, stat.st_mtime_ns, stat.st_ino, stat.st_size) for path in paths for stat in (path.stat(),)]
    except OSError:  # gone between the two looks
        return None


def load_pair(path: Path) -> KeyPair:
    """A secret key file. Raises KeyFileError when it is not there or is none."""
    public, secret = _read(path)
    if secret is None:
        raise KeyFileError(f"{path} holds no secret key; allowed: a {SECRET_SUFFIX} file")
    if zmq.curve_public(secret) != public:
        raise KeyFileError(f"{path}: its public and its secret key do not belong together")
    return KeyPair(public, secret)


def load_client(path: Path, *, server: str | bytes | Path | None = None) -> ClientKeys:
    """A client's secret key file, with the server's public key from it unless ``server`` says another."""
    pair = load_pair(path)
    if server is None:
        match = _SERVER_LINE.search(path.read_text(encoding="utf-8"))
        if match is None:
            raise KeyFileError(f"{path} does not name the server's public key; give server_key=")
        server = match[1]
    return ClientKeys(pair, public_key(server))


def client_secure(keys: ClientKeys) -> Secure:
    """The hook that gives these keys to a socket that connects."""
    if not zmq.has("curve"):
        raise KeyFileError("this ZeroMQ was built without CURVE; keys cannot be used with it")

    def secure(socket: Socket) -> None:
        socket.curve_publickey, socket.curve_secretkey = keys.own.public, keys.own.secret
        socket.curve_serverkey = keys.server

    return secure


def client_hook(
    keys: str | Path | None, *, client_secret: str | bytes | None = None, server_key: str | bytes | Path | None = None
) -> Secure | None:
    """What a subscriber is given: a key file, or both keys in Z85; None for a bus without keys. Raises KeyFileError."""
    if keys is not None and client_secret is not None:
        raise KeyFileError("keys and client_secret are both given; allowed: one of them")
    if keys is not None:
        return client_secure(load_client(Path(keys), server=server_key))
    if client_secret is None and server_key is None:
        return None
    if client_secret is None or server_key is None:
        raise KeyFileError("client_secret and server_key belong together; allowed: both, or keys, a file with both")
    return client_secure(ClientKeys(secret_key(client_secret), public_key(server_key)))


def public_key(key: str | bytes | Path) -> bytes:
    """A public key in Z85, from itself or from a file. Raises KeyFileError for anything else."""
    if isinstance(key, Path):
        return _read(key)[0]
    text = key.decode("ascii", "replace") if isinstance(key, bytes) else key
    if not _Z85.fullmatch(text):
        raise KeyFileError(f"{text!r} is not a public key; allowed: {KEY_CHARS} characters of Z85")
    return text.encode()


def secret_key(key: str | bytes) -> KeyPair:
    """A pair from its secret half in Z85. Raises KeyFileError; the message does not repeat the key."""
    text = key.decode("ascii", "replace") if isinstance(key, bytes) else key
    if not _Z85.fullmatch(text):
        raise KeyFileError(f"the secret key is {len(text)} characters; allowed: {KEY_CHARS} of Z85")
    return KeyPair(zmq.curve_public(text.encode()), text.encode())


def is_readable_by_others(path: Path) -> bool:
    """Whether group or others may read a secret file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name == SERVER:
        raise KeyFileError(
            f"{name!r} is not a client's name; allowed: 1 to 64 of letters, digits, '_', '.', '-', the first a letter "
            f"or digit, and not {SERVER!r}"
        )


def _key_files(folder: Path, *, may_be_missing: bool) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(PUBLIC_SUFFIX))
    except FileNotFoundError:
        if may_be_missing:
            return []
        raise KeyFileError(f"{folder}: no such folder; `vad keys new NAME` makes one") from None
    except OSError as exc:
        raise KeyFileError(f"{folder} cannot be read: {exc.strerror}") from None


def _read(path: Path) -> tuple[bytes, bytes | None]:
    """Public and, where it is there, secret key of a certificate."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise KeyFileError(
                f"{path} is {path.stat().st_size} bytes long; a key file is shorter than {MAX_FILE_BYTES}"
            )
        public, secret = load_certificate(path)
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be read: {exc.strerror}") from None
    except ValueError:
        raise KeyFileError(f"{path} is not a key file: it names no public key") from None
    for half in (public, secret):
        if half is not None and not _Z85.fullmatch(half.decode("ascii", "replace")):
            raise KeyFileError(f"{path} holds a key that is none; allowed: {KEY_CHARS} characters of Z85")
    return public, secret


def _write_pair(secret_path: Path, public_path: Path, *, name: str, server: bytes | None) -> None:
    """Both files, each new and whole. The public one last: it is what lets the client in."""
    public, secret = (half.decode() for half in zmq.curve_keypair())
    head = f'metadata\n    name = "{name}"\n' + (f'    server-key = "{server.decode()}"\n' if server else "")
    keys = f'curve\n    public-key = "{public}"\n'
    warning = "#   Secret: whoever has this file is this party. Hand it over on a safe way; never publish it.\n"
    _write_new(secret_path, f'{warning}{head}{keys}    secret-key = "{secret}"\n', mode=0o600)
    _write_new(public_path, f"#   Public: need not be kept secret.\n{head}{keys}", mode=0o644)


def _write_new(path: Path, text: str, *, mode: int) -> None:
    """A file that was not there, whole or not at all: an engine may read the folder at any moment."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.link(part, path)  # unlike a rename, refuses to overwrite
        finally:
            part.unlink()
    except FileExistsError:
        raise KeyFileError(f"{path} is there already; nothing is overwritten") from None
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be written: {exc.strerror}") from None
