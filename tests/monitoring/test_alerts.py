"""The alert rules, judged by promtool: each fires when it should and is silent otherwise."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.monitoring.prometheus import needs_prometheus

FOLDER = REPOSITORY / "deploy" / "prometheus"
ALERTS = [
    rule for group in yaml.safe_load((FOLDER / "vad.rules.yaml").read_text())["groups"] for rule in group["rules"]
]


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [["check", "config", "prometheus.yaml"], ["check", "rules", "vad.rules.yaml"], ["test", "rules", "vad.test.yaml"]],
    ids=" ".join,
)
def test_promtool_is_content(arguments: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_and_what_to_do_and_is_tested(alert: dict) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert set(alert["annotations"]) == {"summary", "description"}
    tests = yaml.safe_load((FOLDER / "vad.test.yaml").read_text())["tests"]
    (test,) = [test for test in tests if test["name"].split(",")[0] == alert["alert"]]
    expected = [sample for case in test["promql_expr_test"] for sample in case["exp_samples"]]
    assert expected
    assert any("good" in series["series"] for series in test["input_series"])
