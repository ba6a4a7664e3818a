"""``vad keys``: what is said about the keys of the bus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vad.config import SiteConfig, bridge_name
from vad.events.bridges import check_bridge
from vad.events.keys import CLIENTS_DIR, SECRET_SUFFIX, is_readable_by_others, known_keys, load_pair, new_client, revoke


def make_key(folder: Path, name: str) -> Iterator[str]:
    """Make a client's key, and the server's where there is none; what to do with the files, line by line."""
    made = new_client(folder, name)
    yield f"{made.secret}: give it to {name} on a safe way, and to nobody else"
    yield f"{made.public}: lets {name} in, also to an engine that runs"
    if made.server_secret is not None:
        yield f"{made.server_secret}: the engine's; for the site file:"
        yield "bus:"
        yield f"  keys: {{server_secret_file: {made.server_secret}, clients_dir: {folder / CLIENTS_DIR}}}"
    yield f"{name} listens with: vad events --address tcp://HOST:5590 --keys {made.secret.name}"


def list_keys(folder: Path) -> Iterator[str]:
    """The server's key and every client's, with its public half."""
    known = sorted(known_keys(folder / CLIENTS_DIR), key=lambda key: (key.is_revoked, key.name))
    for key in known:
        yield f"{'revoked' if key.is_revoked else 'allowed'}  {key.public.decode()}  {key.name}"
    if not known:
        yield f"no client has a key in {folder / CLIENTS_DIR}"
    for secret in sorted(folder.glob(f"*{SECRET_SUFFIX}")):
        if is_readable_by_others(secret):
            yield f"others can read {secret}; make it private: chmod 600 {secret}"


def revoke_key(folder: Path, name: str) -> Iterator[str]:
    kept = revoke(folder, name)
    yield f"{name} may not connect any more; its public key is kept as {kept}"
    yield "an engine that runs cuts it off within a second or two; the others reconnect and miss nothing"


def site_lines(site: SiteConfig) -> Iterator[str]:
    """What ``vad check`` says about who may listen, and where else events go; nothing where only this machine can.

    Raises KeyFileError for keys and BridgeError for bridges that an engine could not start with.
    """
    for bridge in site.bridges:
        check_bridge(bridge)
        yield f"bridge {bridge_name(bridge)}: {bridge.type}{'' if bridge.is_encrypted else ', NOT encrypted'}"
    keys = site.bus.keys
    if keys is not None:
        load_pair(keys.server_secret_file)
        allowed = [key.name for key in known_keys(keys.clients_dir) if not key.is_revoked]
        yield f"bus: encrypted; who may connect: {', '.join(allowed) or 'nobody'}"
        if is_readable_by_others(keys.server_secret_file):
            yield f"bus: others can read {keys.server_secret_file}; make it private: chmod 600"
    elif site.bus.is_plain_beyond_loopback:
        yield f"bus: NOT encrypted: whoever reaches {site.bus.bind} reads every event (allow_plain_beyond_loopback)"
