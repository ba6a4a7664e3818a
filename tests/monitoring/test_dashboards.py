"""The dashboards, each query of them run by a real Prometheus while a real engine runs."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import REPOSITORY
from tests.monitoring.conftest import CAMERAS, Monitored
from tests.monitoring.prometheus import needs_prometheus

GRAFANA = REPOSITORY / "deploy" / "grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = REPOSITORY / "deploy" / "prometheus" / "vad.rules.yaml"

NO_DATA_HERE = {
    ("vad: engine", "GPU memory"): "the engine under test runs on the CPU",
    ("vad: engine", "GPU utilisation"): "the engine under test runs on the CPU",
}
"""Panels that have nothing to show in this test, each with the reason; Prometheus must still understand them."""

ONLY_ELSEWHERE = {
    "vad_gpu_memory_used_bytes",
    "vad_gpu_memory_reserved_bytes",
    "vad_gpu_memory_size_bytes",
    "vad_gpu_utilization_ratio",
}
"""Metrics that this engine does not export: tests/pipeline/test_exposition.py sees them exported on a GPU."""


@dataclass(frozen=True, slots=True)
class Query:
    board: str
    panel: str
    expression: str
    instant: bool

    def filled(self, camera: str) -> str:
        values = {"$instance": ".+", "$camera": camera, "$__rate_interval": "10s"}
        text = self.expression
        for name, value in values.items():
            text = text.replace(name, value)
        assert "$" not in text, f"{self.panel}: an unknown variable in {text}"
        return text


def queries() -> list[Query]:
    found = []
    for path in BOARDS:
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            found += [
                Query(board["title"], panel["title"], target["expr"], target.get("instant", False))
                for target in panel.get("targets", [])
            ]
        for annotation in board["annotations"].get("list", []):
            found.append(Query(board["title"], f"annotation {annotation['name']}", annotation["expr"], False))
    return found


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:vad|process|python)_\w+", bare))


def exported_by(monitored: Monitored) -> set[str]:
    """Names of all series that the engine's families can have."""
    names = set()
    for family in text_string_to_metric_families(httpx.get(f"{monitored.address}/metrics", timeout=20.0).text):
        endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(family.type, ("",))
        names |= {family.name + ending for ending in endings}
    return names


def has_number(series: dict[str, Any]) -> bool:
    points = series.get("values") or [series["value"]]
    return any(not math.isnan(float(value)) for _, value in points)


def test_the_dashboards_are_what_their_script_writes() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="pip install 'vad[dashboards]'")
    command = [sys.executable, str(GRAFANA / "build.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_three_dashboards_with_panels_that_explain_themselves() -> None:
    boards = [json.loads(path.read_text()) for path in BOARDS]
    assert {board["title"] for board in boards} == {"vad: fleet", "vad: camera", "vad: engine"}
    for board in boards:
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for panel in panels:
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_the_provisioning_finds_what_is_there() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    (prometheus,) = source["datasources"]
    config = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text())
    assert prometheus["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "vad.yaml").read_text())["providers"]
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text())
    mounts = dict(mount.split(":")[:2] for mount in compose["services"]["grafana"]["volumes"] if mount.startswith("./"))
    targets = {target: Path(source) for source, target in mounts.items()}
    assert targets[provider["options"]["path"]] == Path("./grafana/dashboards")
    assert targets["/etc/grafana/provisioning"] == Path("./grafana/provisioning")


@needs_prometheus
@pytest.mark.slow
class TestAgainstTheRunningEngine:
    @pytest.mark.parametrize("query", queries(), ids=lambda q: f"{q.board}-{q.panel}")
    def test_every_query_returns_data(self, monitored: Monitored, query: Query) -> None:
        ask = monitored.prometheus.query
        if not query.instant:
            seconds = monitored.age_s

            def ask(expression: str) -> list[dict[str, Any]]:
                return monitored.prometheus.query_range(expression, seconds=seconds)

        cameras = CAMERAS if "$camera" in query.expression else CAMERAS[:1]
        found = [series for camera in cameras for series in ask(query.filled(camera))]
        if reason := NO_DATA_HERE.get((query.board, query.panel)):
            assert not found, f"it has data although {reason}"
            return
        assert any(has_number(series) for series in found), query.expression

    def test_dashboards_and_alerts_name_only_metrics_that_the_engine_exports(self, monitored: Monitored) -> None:
        exported = exported_by(monitored)
        assert "vad_nothing_like_that_total" not in exported
        wanted = {name for query in queries() for name in metric_names(query.expression)}
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            wanted |= {name for rule in group["rules"] for name in metric_names(rule["expr"])}
        assert len(wanted) > 30
        assert wanted - exported == ONLY_ELSEWHERE

    def test_every_family_of_the_engine_is_on_a_dashboard_or_in_an_alert(self, monitored: Monitored) -> None:
        shown = {name for query in queries() for name in metric_names(query.expression)} | {"vad_engine_info"}
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            shown |= {name for rule in group["rules"] for name in metric_names(rule["expr"])}
        families = text_string_to_metric_families(httpx.get(f"{monitored.address}/metrics", timeout=20.0).text)
        ours = {family.name for family in families if family.name.startswith("vad_")}
        assert len(ours) > 40
        assert [name for name in sorted(ours) if not any(each.startswith(name) for each in shown)] == []

    def test_every_variable_offers_a_choice(self, monitored: Monitored) -> None:
        for path in BOARDS:
            for variable in json.loads(path.read_text())["templating"]["list"]:
                if variable["type"] != "query":
                    continue
                offered = monitored.prometheus.series_of(variable["query"].replace("$instance", ".+"))
                expected = (
                    sorted(CAMERAS) if variable["name"] == "camera" else [monitored.address.removeprefix("http://")]
                )
                assert offered == expected
