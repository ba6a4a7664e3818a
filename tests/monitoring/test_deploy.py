"""What is deployed, checked by its own tools where they are at hand, and by reading it where they are not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from vad.config import load_config

DEPLOY = REPOSITORY / "deploy"
UNIT = DEPLOY / "systemd" / "vad.service"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")


def needs(tool: str, package: str) -> pytest.MarkDecorator:
    reason = f"{tool} is not here; on Debian: apt-get install --no-install-recommends {package}"
    return pytest.mark.skipif(shutil.which(tool) is None, reason=reason)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs("systemd-analyze", "systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    there = tmp_path / "vad.service"  # its program is not installed here
    there.write_text(UNIT.read_text().replace("/opt/vad/bin/vad", shutil.which("true") or "/bin/true"))
    assert "vad.service" not in run("systemd-analyze", "verify", "--man=no", str(there))


@needs("systemd-analyze", "systemd")
def test_the_unit_is_hardened() -> None:
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT))


@needs("docker-compose", "docker-compose")
def test_compose_takes_the_file() -> None:
    run("docker-compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet")


def test_the_image_asks_for_all_that_the_engine_needs_of_nvidias_driver() -> None:
    asked = re.search(r"^ENV NVIDIA_DRIVER_CAPABILITIES=(\S+)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)
    assert asked is not None
    assert set(asked[1].split(",")) == {"compute", "utility", "video"}


def test_every_file_that_compose_mounts_is_there() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    ours = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(ours) >= 5
    assert [path for path in ours if not (DEPLOY / path).exists()] == []
    assert {mount.split(":")[0] for mount in mounts if not mount.startswith("./")} == set(COMPOSE["volumes"])


def test_compose_pins_its_images_and_publishes_on_this_machine_alone() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+\.\d+|:\$\{VAD_VARIANT", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_the_sites_of_compose_and_example_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    site = load_config(DEPLOY / "site.yaml")
    assert site.cameras["sample"].url.startswith("rtsp://mediamtx:")
    streams = yaml.safe_load((DEPLOY / "mediamtx" / "mediamtx.yml").read_text())
    assert "sample" in streams["paths"]
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"engine:{site.http.bind.rpartition(':')[2]}"]


def test_the_scene_of_compose_can_be_drawn(tmp_path: Path) -> None:
    (script,) = COMPOSE["services"]["sample"]["command"]
    film = tmp_path / "sample.mp4"
    shortened = script.replace("/var/lib/vad/sample.mp4", str(film)).replace("seconds=DEMO_SECONDS", "seconds=0.4")
    assert shortened != script
    exec(compile(shortened, "compose.yaml", "exec"), {})
    assert film.stat().st_size > 1_000


def test_the_image_ends_as_nobody_special_with_a_healthcheck() -> None:
    stages = DOCKERFILE.split("\nFROM ")[1:]
    last = stages[-1]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["vad"]
    assert last.index("USER vad") < last.index("ENTRYPOINT")
    assert "/readyz" in last
    assert re.findall(r"^EXPOSE (.+)", last, re.MULTILINE) == ["8590 5590 5591"]
    assert all("slim" in stage.splitlines()[0] for stage in stages)


def test_the_image_copies_only_what_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (REPOSITORY / source).exists(), source
            assert f"!{source}" in ignored, source


@pytest.mark.parametrize("extra", ["mqtt", "nats", "webhook", "gpu"])
def test_the_extras_of_the_image_exist(extra: str) -> None:
    assert extra in DOCKERFILE
    assert f"\n{extra} = [" in (REPOSITORY / "pyproject.toml").read_text()
