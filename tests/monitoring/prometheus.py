"""A real Prometheus: started on a free port, asked over its own API."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml

SCRAPE_S = 1
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not here; on Debian: apt-get install --no-install-recommends prometheus",
)


class Prometheus:
    """Scrapes ``target`` (HOST:PORT) as job ``vad`` each second, from ``start`` to ``stop``."""

    def __init__(self, folder: Path, *, target: str) -> None:
        self._folder, self._target = folder, target
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        config = {
            "global": {"scrape_interval": f"{SCRAPE_S}s"},
            "scrape_configs": [{"job_name": "vad", "static_configs": [{"targets": [self._target]}]}],
        }
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self._folder / 'tsdb'}",
                    f"--web.listen-address={self._address}",
                ],
                stdout=log,
                stderr=log,
            )
        self._wait_ready()
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query gives now. AssertionError with Prometheus's words when it is wrong."""
        return self._get("query", query=expression)["result"]

    def query_range(self, expression: str, *, seconds: float) -> list[dict[str, Any]]:
        """The series over the last ``seconds``, a step a second."""
        now = time.time()
        return self._get("query_range", query=expression, start=now - seconds, end=now, step=1)["result"]

    def series_of(self, variable: str) -> list[str]:
        """What Grafana's ``label_values(SELECTOR, LABEL)`` gives."""
        selector, _, label = variable.removeprefix("label_values(").removesuffix(")").rpartition(",")
        return sorted({series[label.strip()] for series in self._get("series", **{"match[]": selector})})

    def names(self) -> set[str]:
        """All metrics that were ever scraped."""
        return set(self._get("label/__name__/values"))

    def _get(self, path: str, **parameters: Any) -> Any:
        response = httpx.get(f"http://{self._address}/api/v1/{path}", params=parameters, timeout=30.0)
        body = response.json()
        assert body["status"] == "success", f"{parameters}: {body.get('error')}"
        return body["data"]

    def _wait_ready(self) -> None:
        assert self._process is not None
        for _ in range(600):
            try:
                if httpx.get(f"http://{self._address}/-/ready", timeout=5.0).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
            time.sleep(0.1)
        raise AssertionError("Prometheus was not ready within a minute")
