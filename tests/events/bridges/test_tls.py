"""Encrypted bridges check whom they talk to."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.events.bridges.driving import bridge_settings, running, wait_until
from tests.events.bridges.receiver import Receiver
from tests.events.bridges.servers import Server, mosquitto, nats_server
from tests.events.factory import anomalies
from vad.errors import BridgeError
from vad.events import Journal, StoredEvent
from vad.events.bridges import Bridge, make_bridge


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that only those trust who have it, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True)
    key.chmod(0o644)
    return cert, key


@contextmanager
def mqtt(folder: Path, cert: Path, key: Path) -> Iterator[str]:
    broker = mosquitto(folder, f"certfile {cert}", f"keyfile {key}")
    with killed(broker):
        yield f"mqtts://localhost:{broker.port}"


@contextmanager
def nats(folder: Path, cert: Path, key: Path) -> Iterator[str]:
    server = nats_server(folder, "--tls", "--tlscert", str(cert), "--tlskey", str(key))
    with killed(server):
        yield f"tls://localhost:{server.port}"


@contextmanager
def webhook(folder: Path, cert: Path, key: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    receiver = Receiver(tls=context).start()
    try:
        yield f"https://localhost:{receiver.port}/hook"
    finally:
        receiver.stop()


@contextmanager
def killed(server: Server) -> Iterator[None]:
    try:
        yield
    finally:
        server.kill()


@pytest.mark.parametrize("serve", [mqtt, nats, webhook], ids=lambda serve: str(serve.__name__))
def test_an_encrypted_bridge_delivers_to_a_server_that_it_trusts_and_to_no_other(
    serve: Callable[[Path, Path, Path], AbstractContextManager[str]],
    certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    secret = {"secret_key": "x"} if serve is webhook else {}
    with serve(tmp_path, *certificate) as url, Journal(tmp_path / "events.sqlite") as journal:
        settings = {"type": serve.__name__, "url": url, "timeout_s": 5, **secret}
        trusting = bridge_settings(**settings, ca_file=str(certificate[0]))
        with running(trusting, journal, tmp_path) as worker:
            stored = journal.append(anomalies(20))
            wait_until(lambda: worker.status.sequence == 20, what="the events")
        strict = make_bridge(bridge_settings(**settings), cameras=())
        with pytest.raises(BridgeError, match=r"(?i)certificate"):
            open_and_send(strict, stored)
        strict.close()


def open_and_send(bridge: Bridge, events: Sequence[StoredEvent]) -> None:
    bridge.open()
    list(bridge.send(events))
